"""Alignment: whether branches that are joined look at the same place.

Where branches meet, unit by unit (added, multiplied, concatenated), the centres of their fields should
agree; they don't after an unpadded branch is cropped at one side, an even kernel is padded at one side,
or space is moved to depth. Centres after Araujo, Norris and Sim, Distill 2019 (doi 10.23915/distill.00021).

Units that were upsampled look a little to either side of the place where they lie, in turn; their
centres count on average over one period.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import lcm

import numpy as np

from cifar_report.analyzer.costs import FREE
from cifar_report.analyzer.coverage import Alignment, Join
from cifar_report.analyzer.field_elementwise import ELEMENTWISE
from cifar_report.analyzer.graph import Node, Trace, Value
from cifar_report.analyzer.receptive_field import Fields
from cifar_report.analyzer.shadow import Array, Shadow, Shape, full

_CATS = frozenset({"cat", "concat", "concatenate"})
_JOINS = frozenset(ELEMENTWISE) | _CATS | {"stack"}


def compare_branches(trace: Trace, fields: Fields, layer_name: Callable[[int], str]) -> Alignment:
    """Compare the centres of the fields wherever branches of a network meet.

    Args:
        trace: of the network.
        fields: its receptive fields.
        layer_name: names the layer of a node.
    """
    compared, misaligned, unknown = 0, [], []
    known = _Centres()
    for node in trace.nodes:
        values = _branches(node)
        if len(values) < 2:
            continue
        if any(fields.of(value) is None for value in values):
            unknown.append(layer_name(node.index))
            continue
        try:
            found = _centres(node, values, fields, known)
        except _Irregular:
            unknown.append(layer_name(node.index))
            continue
        if len(found) < 2:
            continue  # a gate, or a pooled branch, looks at no place
        compared += 1
        origin = found[0][1]
        offsets = tuple([
            tuple([round(own - first, 6) for own, first in zip(centres, origin, strict=True)])
            for _, centres in found
        ])  # fmt: skip
        if any(any(offset) for offset in offsets):
            names = tuple([_ended_by(value, trace, layer_name) for value, _ in found])
            misaligned.append(Join(layer_name(node.index), names, offsets))
    return Alignment(compared, tuple(misaligned), tuple(unknown))


def _branches(node: Node) -> list[Value]:
    return list(dict.fromkeys(node.live_inputs)) if node.op in _JOINS and len(node.live_inputs) > 1 else []


def _ended_by(value: Value, trace: Trace, layer_name: Callable[[int], str]) -> str:
    """Return the layer that a branch ends with, and what moved its units from there on: `slice of conv`."""
    moved = ""
    while value.producer >= 0:
        node = trace.nodes[value.producer]
        if node.op not in FREE or not trace.calls[node.call].module._modules:
            return moved + layer_name(node.index)
        moved = f"{node.op} of " if node.op not in ("alias", "detach") else moved
        value = node.live_inputs[0]
    return f"{moved}the input"


class _Irregular(Exception):
    """A field doesn't move evenly over the image."""


def _centres(
    node: Node, values: Sequence[Value], fields: Fields, known: _Centres
) -> list[tuple[Value, tuple[float, ...]]]:
    """Return the branches that look at a place, and where their middle units do, per axis.

    Args:
        node: the join.
        values: its operands.
        fields: of the trace.
        known: centres found before.

    Raises:
        _Irregular: one of them doesn't move evenly.
    """
    out = node.outputs[0].shape
    found = []
    for value in values:
        shadows = fields.shadows[value.id]
        if any(_moves(shadow, value.shape, out) for shadow in shadows):
            found.append((value, shadows))
    if len(found) < 2 or all(shadows is found[0][1] for _, shadows in found):
        return [(value, (0.0,) * fields.axes) for value, _ in found]
    for axis in zip(*[shadows for _, shadows in found], strict=True):
        places = {None if s.dim is None else s.dim - len(v.shape)
                  for s, (v, _) in zip(axis, found, strict=True)}  # fmt: skip
        if None in places or len(places) > 1:
            raise _Irregular
        if node.op in _CATS and node.argument(1, "dim", 0) % len(out) - len(out) in places:
            return []  # put side by side on the map
    periods = [lcm(*[shadow.period for shadow in axis])
               for axis in zip(*[shadows for _, shadows in found], strict=True)]  # fmt: skip
    return [
        (value, tuple([known.of(s, value.shape, p) for s, p in zip(shadows, periods, strict=True)]))
        for value, shadows in found
    ]


def _moves(shadow: Shadow, shape: Shape, out: Shape) -> bool:
    """Return whether units see different places; not so a single one that is spread over the map."""
    if shadow.sees_nothing:
        return False
    if shadow.dim is None:
        return not shadow.plain
    return shape[shadow.dim] > 1 or out[shadow.dim - len(shape)] == 1


class _Centres:
    """Where shadows' units look. Dense networks join the same ones again and again."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, int, int], float] = {}

    def of(self, shadow: Shadow, shape: Shape, period: int) -> float:
        """Return where units look on average, over one period in the middle of the map."""
        assert shadow.dim is not None
        key = id(shadow), shape[shadow.dim], period
        if key not in self.known:
            first = max((shape[shadow.dim] - period) // 2, 0)
            self.known[key] = _mean_centre(shadow, len(shape), np.arange(first, first + period))
        return self.known[key]


def _mean_centre(shadow: Shadow, rank: int, units: Array) -> float:
    assert shadow.dim is not None
    lo, hi = _hull_of_channels(shadow, rank, shadow.dim)
    phase = units % shadow.period
    centres = (lo + hi)[phase] / 2 + units // shadow.period * shadow.advance
    return float(centres[(lo <= hi)[phase]].mean())


def _hull_of_channels(shadow: Shadow, rank: int, dim: int) -> tuple[Array, Array]:
    """Return the bounds of each unit of a period, of all channels together."""
    lo, hi = (np.moveaxis(full(bounds, rank), dim, 0) for bounds in (shadow.lo, shadow.hi))
    lows, highs = lo.reshape(len(lo), -1).min(axis=1), hi.reshape(len(hi), -1).max(axis=1)
    return np.broadcast_to(lows, (shadow.period,)), np.broadcast_to(highs, (shadow.period,))
