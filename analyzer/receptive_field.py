"""The receptive field of every value of a trace, with respect to the network's input.

A pass over the dataflow graph: each operator's rule turns the shadows of its inputs into those of its
outputs (`shadow` says what a shadow is). Importing `field_rules` registers all rules; an
operator without one makes the fields of everything behind it unknown, and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from cifar_report.analyzer.analysis import ReceptiveField
from cifar_report.analyzer.graph import Node, Trace, Value
from cifar_report.analyzer.shadow import EMPTY, FAR, Array, Shadow, Shape, expand, full, pixels

Shadows = tuple[Shadow, ...]
"""One shadow per spatial axis of the network's input."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What a rule may ask for: `lookup(value)` returns the shadows of a value."""

    shadows: dict[int, Shadows]
    """By value id."""
    nodes: Sequence[Node]
    """All of the trace, for rules that need to know how an operand came about."""

    def __call__(self, value: Value) -> Shadows:
        """Return the shadows of a value that depends on the network's input."""
        return self.shadows[value.id]


FieldRule = Callable[[Node, Lookup], Shadows | list[Shadows]]

RULES: dict[str, FieldRule] = {}


class NoRule(Exception):
    """A rule met arguments that it doesn't cover; the field behind the operator is unknown."""


_Rule = TypeVar("_Rule", bound=FieldRule)


def field_rule(*names: str) -> Callable[[_Rule], _Rule]:
    """Register a rule under operator names; a name can have one rule only."""

    def register(function: _Rule) -> _Rule:
        for name in names:
            if name in RULES:
                raise ValueError(f"operator {name} has a field rule already")
            RULES[name] = function
        return function

    return register


@dataclass(slots=True)
class Fields:
    """Shadows of every value that depends on the input, or the operator that made them unknown."""

    shadows: dict[int, Shadows]
    """By value id."""
    unknown: dict[int, int]
    """By value id: the node to blame."""
    axes: int
    image: Shape
    """The input's size along each axis."""
    described: dict[tuple[int, Shape], ReceptiveField] = field(default_factory=dict)
    """By identity of the shadows, which most operators hand on, and a tensor's shape."""

    def of(self, value: Value) -> Shadows | None:
        """Return a value's shadows; None where they are unknown."""
        return self.shadows.get(value.id)


def input_axes(value: Value) -> tuple[int, ...]:
    """Return the dimensions of the network's input that are spatial: those behind batch and channels.

    Tokens have no channels: their one dimension is spatial.
    """
    tokens = len(value.shape) == 2 and not value.dtype.is_floating_point
    return (1,) if tokens else tuple(range(2, len(value.shape)))


def compute_fields(trace: Trace) -> Fields:
    """Run every operator's rule, in the order of the trace."""
    source = trace.inputs[trace.image]
    axes = input_axes(source)
    fields = Fields(
        shadows={value.id: (EMPTY,) * len(axes) for value in trace.inputs},
        unknown={},
        axes=len(axes),
        image=tuple([source.shape[dim] for dim in axes]),
    )
    shadows = fields.shadows
    shadows[source.id] = tuple([pixels(dim) for dim in axes])
    lookup = Lookup(shadows, trace.nodes)
    for node in trace.nodes:
        if not node.live_inputs:
            continue
        blame = None
        if fields.unknown:
            blame = next((fields.unknown[v.id] for v in node.live_inputs if v.id in fields.unknown), None)
        rule = RULES.get(node.op)
        if blame is None and rule is not None:
            try:
                result = rule(node, lookup)
            except NoRule:
                blame = node.index
            else:
                several = result if isinstance(result, list) else [result] * len(node.outputs)
                for value, shadow in zip(node.outputs, several, strict=True):
                    shadows[value.id] = shadow
                continue
        if blame is None and all(sees_nothing(shadows[value.id]) for value in node.live_inputs):
            # Whatever the operator does to tokens, or to another input, it shows it nothing of the image.
            shadows.update({value.id: (EMPTY,) * len(axes) for value in node.outputs})
            continue
        for value in node.outputs:
            fields.unknown[value.id] = node.index if blame is None else blame
    return fields


def sees_nothing(shadows: Shadows) -> bool:
    """Return whether a tensor depends on other inputs than the image only."""
    return bool(shadows) and all(isinstance(s.lo, int) and s.lo == FAR for s in shadows)


def moves(shadows: Shadows) -> bool:
    """Return whether a tensor still has units that see different parts of the image."""
    return any(s.dim is not None or not s.plain for s in shadows)


def describe(
    value: Value, fields: Fields, layer_name: Callable[[int], str], op_name: Callable[[int], str]
) -> ReceptiveField:
    """Return a value's receptive field in words that leave the analyzer.

    Args:
        value: any value of the trace.
        fields: of that trace.
        layer_name: names the layer of a node, for a global field's cause.
        op_name: names a node's operator, for an unknown field's cause.
    """
    if value.id in fields.unknown:
        return ReceptiveField(kind="unknown", cause=op_name(fields.unknown[value.id]))
    shadows = fields.shadows.get(value.id)
    if shadows is None:
        return ReceptiveField(kind="unknown", cause="it doesn't depend on the network's input")
    known = fields.described.get((id(shadows), value.shape))
    if known is None:
        known = fields.described[id(shadows), value.shape] = _describe(shadows, value, fields, layer_name)
    return known


def _describe(
    shadows: Shadows, value: Value, fields: Fields, layer_name: Callable[[int], str]
) -> ReceptiveField:
    parts = [_axis(shadow, value.shape, size) for shadow, size in zip(shadows, fields.image, strict=True)]
    cause = next((s.cause for s in shadows if s.cause is not None), None)
    return ReceptiveField(
        kind="local" if cause is None else "global",
        size=tuple([part.size for part in parts]),
        stride=tuple([part.stride for part in parts]),
        start=tuple([part.start for part in parts]),
        uniform=all(part.uniform for part in parts),
        visible=tuple([part.visible for part in parts]),
        cause=None if cause is None else layer_name(cause),
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    size: int
    stride: float
    start: float
    uniform: bool
    visible: int


def _axis(shadow: Shadow, shape: Shape, image: int) -> _Axis:
    lo, hi = shadow.lo, shadow.hi
    if shadow.period == 1 and isinstance(lo, int) and isinstance(hi, int):
        if lo > hi:
            return _Axis(0, 0, 0, True, 0)
        middle = 0 if shadow.dim is None else (shape[shadow.dim] // 2) * shadow.advance
        seen = min(hi + middle, image - 1) - max(lo + middle, 0) + 1
        return _Axis(hi - lo + 1, shadow.advance, (lo + hi) / 2, True, max(seen, 0))
    if shadow.dim is not None:
        return _periodic_axis(shadow, shape, image)
    return _irregular_axis(shadow, shape, image)


def _periodic_axis(shadow: Shadow, shape: Shape, image: int) -> _Axis:
    """Describe the largest field over one period around the middle, and over channels."""
    dim = shadow.dim
    assert dim is not None
    rank = len(shape)
    lo, hi = _at_the_middle(full(shadow.lo, rank), full(shadow.hi, rank), shape, dim)
    sizes = np.maximum(hi - lo + 1, 0)
    at = np.unravel_index(int(sizes.argmax()), sizes.shape)
    period_index = int(at[dim])
    unit = (shape[dim] // 2) // shadow.period * shadow.advance
    low, high = int(lo[at]), int(hi[at])
    first = tuple(0 if d == dim else int(i) for d, i in enumerate(at))
    start = (int(lo[first]) + int(hi[first])) / 2
    if lo[first] > hi[first]:
        start = (low + high) / 2 - period_index * shadow.advance / shadow.period
    stride = shadow.advance / shadow.period
    seen = min(high + unit, image - 1) - max(low + unit, 0) + 1
    uniform = bool((sizes == sizes.flat[0]).all())
    return _Axis(int(sizes.max()), _whole(stride), start, uniform, max(seen, 0))


def _irregular_axis(shadow: Shadow, shape: Shape, image: int) -> _Axis:
    """Describe the unit in the middle of every dimension but the channels, whose largest counts."""
    lo, hi = expand(shadow, shape)
    everything = np.maximum(hi - lo + 1, 0)
    stride = float(shadow.advance)
    low_bounds, high_bounds = lo, hi
    for dim, size in enumerate(lo.shape):
        if size == 1 or dim == _channels(shape):
            continue
        middle = size // 2
        if middle + 1 < size:
            step = np.take(low_bounds, middle + 1, axis=dim) - np.take(low_bounds, middle, axis=dim)
            step = step[np.abs(step) < FAR // 2]
            stride = float(np.abs(step).max()) if step.size else stride
        low_bounds = np.take(low_bounds, [middle], axis=dim)
    low_bounds, high_bounds = _at_the_middle(lo, hi, shape, None)
    sizes = np.maximum(high_bounds - low_bounds + 1, 0)
    at = np.unravel_index(int(sizes.argmax()), sizes.shape)
    low, high = int(low_bounds[at]), int(high_bounds[at])
    valid = lo <= hi
    start = 0.0
    if valid.any():
        first = int(np.argmax(valid))
        wide_lo, wide_hi = np.broadcast_arrays(lo, hi)
        start = (int(wide_lo.flat[first]) + int(wide_hi.flat[first])) / 2
    seen = min(high, image - 1) - max(low, 0) + 1
    uniform = bool((everything == everything.flat[0]).all())
    return _Axis(int(sizes.max()), _whole(stride), start, uniform, max(seen, 0))


def _channels(shape: Shape) -> int | None:
    """Return which dimension holds the channels of a map."""
    return 1 if len(shape) >= 4 else None


def _at_the_middle(lo: Array, hi: Array, shape: Shape, moving: int | None) -> tuple[Array, Array]:
    """Return the bounds of the middle unit along every dimension but channels and the one that moves.

    A few around the middle, where what they see repeats along another dimension too (phases of a pixel
    shuffle) or some of them see nothing (holes of a transposed convolution).
    """
    lo, hi = np.broadcast_arrays(lo, hi)
    several = moving is not None or bool((lo > hi).any())
    for dim, size in enumerate(lo.shape):
        if size > 1 and dim not in (moving, _channels(shape)):
            middle = size // 2
            near = range(max(middle - 4, 0), min(middle + 5, size)) if several else [middle]
            lo, hi = np.take(lo, near, axis=dim), np.take(hi, near, axis=dim)
    return lo, hi


def _whole(number: float) -> float:
    return int(number) if number == int(number) else number
