"""The receptive field of every value of a trace, with respect to the network's input.

A pass over the dataflow graph: each operator's rule turns the shadows of its inputs into those of its
outputs (`shadow` says what a shadow is). Importing `field_rules` registers all rules; an
operator without one makes the fields of everything behind it unknown, and is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from operator import is_
from typing import TypeVar

from cifar_report.analyzer.analysis import ReceptiveField
from cifar_report.analyzer.graph import Node, Trace, Value
from cifar_report.analyzer.shadow import EMPTY, Shadow, Shape, pixels
from cifar_report.analyzer.shadow_union import union

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
        """Return the shadows of a value; a constant sees nothing."""
        known = self.shadows.get(value.id)
        return (EMPTY,) * len(next(iter(self.shadows.values()))) if known is None else known


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
    layered: set[int] = set()
    result: Shadows | list[Shadows]
    for node in trace.nodes:
        live = node.live_inputs
        if not live:  # a view of a constant that is written to later sees nothing yet
            shadows.update({value.id: (EMPTY,) * len(axes) for value in node.outputs if value.live})
            continue
        blame = None
        if fields.unknown:
            blame = next((fields.unknown[v.id] for v in live if v.id in fields.unknown), None)
        rule = RULES.get(node.op)
        if blame is None and rule is not None:
            try:
                if layered and any(value.id in layered for value in live):
                    result = _layer_by_layer(rule, node, lookup)
                elif node.outputs[0].numel:
                    result = rule(node, lookup)
                else:
                    result = (EMPTY,) * len(axes)  # it has no units
            except NoRule:
                blame = node.index
            else:
                before = shadows[live[0].id]
                several = result if isinstance(result, list) else [result] * len(node.outputs)
                for value, own in zip(node.outputs, several, strict=True):
                    if all(map(is_, own, before)):
                        own = before  # one description serves both
                    for shadow in own:
                        if shadow.dim is None and (shadow.cause is None or shadow.others):
                            own = _global_if_whole(own, value.shape, fields.image, node.index)
                            if any(shadow.others for shadow in own):
                                layered.add(value.id)
                            break
                    shadows[value.id] = own
                continue
        if blame is None and all(sees_nothing(shadows[value.id]) for value in live):
            # Whatever the operator does to tokens, or to another input, it shows it nothing of the image.
            shadows.update({value.id: (EMPTY,) * len(axes) for value in node.outputs})
            continue
        for value in node.outputs:
            fields.unknown[value.id] = node.index if blame is None else blame
    return fields


def _global_if_whole(shadows: Shadows, shape: Shape, image: Shape, node: int) -> Shadows:
    """Name the operator that spread one value, which saw the whole image, over a map."""
    whole = [
        s.dim is None and s.cause is None and s.plain and s.lo <= 0 and s.hi >= size - 1
        for s, size in zip(shadows, image, strict=True)
    ]
    if not any(whole) or prod(shape[2:]) == 1:
        return shadows
    return tuple([
        replace(s, cause=node) if sees else s for s, sees in zip(shadows, whole, strict=True)
    ])  # fmt: skip


def _layer_by_layer(rule: FieldRule, node: Node, lookup: Lookup) -> list[Shadows]:
    """Run a rule on each of the shadows whose hull is meant, and return the hull of what comes out.

    Every rule takes minima of lower and maxima of upper bounds, so both ways lead to the same.
    """
    layers = {
        value.id: [(shadow, *shadow.others) for shadow in lookup.shadows[value.id]]
        for value in node.live_inputs
    }
    count = max(len(layer) for own in layers.values() for layer in own)
    results: list[list[Shadows]] = []
    for index in range(count):
        one = {
            number: tuple([
                replace(layer[index], others=()) if index < len(layer) else EMPTY for layer in own
            ])
            for number, own in layers.items()
        }  # fmt: skip
        result = rule(node, Lookup(one, lookup.nodes))
        results.append(result if isinstance(result, list) else [result] * len(node.outputs))
    return [
        tuple([
            union([(shadow, out.shape) for shadow in axis], out.shape, node.index)
            for axis in zip(*own, strict=True)
        ])
        for out, own in zip(node.outputs, zip(*results, strict=True), strict=True)
    ]  # fmt: skip


def sees_nothing(shadows: Shadows) -> bool:
    """Return whether a tensor depends on other inputs than the image only."""
    return bool(shadows) and all(s.sees_nothing for s in shadows)


def moves(shadows: Shadows) -> bool:
    """Return whether a tensor still has units that see different parts of the image."""
    return any(s.dim is not None or not s.plain for s in shadows)
