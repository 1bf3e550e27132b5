"""Which units of its inputs some units of an operator's output depend on, where it moves or joins units."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from cifar_report.analyzer.density_carry import Taps, Way, carried
from cifar_report.analyzer.density_region import (
    Region,
    any_along,
    clipped,
    complete,
    shifted,
    trimmed,
    united,
)
from cifar_report.analyzer.density_rules import Wanted, intervals, pull_rule
from cifar_report.analyzer.field_views import blocks
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.receptive_field import NoRule
from cifar_report.analyzer.shadow import Shape
from cifar_report.analyzer.shapes import spread


@pull_rule("view", "reshape", "_unsafe_view", "flatten", "unflatten", "view_as", "reshape_as", "squeeze",
           "unsqueeze")  # fmt: skip
def _view(node: Node, out: Value, region: Region) -> Wanted:
    value = node.args[0]
    if prod(value.shape) != prod(out.shape):
        raise NoRule  # a view of another dtype
    return [(value, rearranged(region, out.shape, value.shape))]


def rearranged(region: Region | None, shape: Shape, new_shape: Shape) -> Region | None:
    """Return a region after the tensor's units were arranged anew in the same order."""
    if region is None:
        return None
    pairs = [
        ([d for d in old if shape[d] > 1], [d for d in new if new_shape[d] > 1])
        for old, new in blocks(tuple(shape), tuple(new_shape))
    ]
    merged = [
        dim
        for old, new in pairs
        if len(old) + len(new) > 2 and any(region.origin[d] is not None for d in old)
        for dim in old
    ]
    known = clipped(region, shape, [dim for dim, size in enumerate(shape) if size == 1])
    known = known and complete(known, merged, shape)
    if known is None:
        return None
    sizes = [1] * len(new_shape)
    origin: list[int | None] = [None] * len(new_shape)
    for old, new in pairs:
        if any(dim in merged for dim in old):
            for dim in new:
                sizes[dim], origin[dim] = new_shape[dim], 0
        elif len(old) == len(new) == 1:
            sizes[new[0]], origin[new[0]] = known.marks.shape[old[0]], known.origin[old[0]]
    return Region(known.marks.reshape(sizes), tuple(origin))


@pull_rule("permute")
def _permute(node: Node, out: Value, region: Region) -> Wanted:
    order = [dim % len(out.shape) for dim in node.argument(1, "dims")]
    return [(node.args[0], _turned_back(region, order))]


@pull_rule("transpose", "swapaxes", "swapdims")
def _transpose(node: Node, out: Value, region: Region) -> Wanted:
    order = list(range(len(out.shape)))
    first, second = node.args[1:3]
    order[first], order[second] = order[second], order[first]
    return [(node.args[0], _turned_back(region, order))]


def _turned_back(region: Region, order: Sequence[int]) -> Region:
    places = [order.index(dim) for dim in range(len(order))]
    return Region(region.marks.transpose(places), tuple([region.origin[place] for place in places]))


@pull_rule("pixel_shuffle")
def _pixel_shuffle(node: Node, out: Value, region: Region) -> Wanted:
    value, factor = node.args
    *lead, channels, height, width = value.shape
    n = len(lead)
    split = (*lead, channels // factor**2, factor, factor, height, width)
    return _shuffled(value, out, region, split, [*range(n), n, n + 3, n + 1, n + 4, n + 2])


@pull_rule("pixel_unshuffle")
def _pixel_unshuffle(node: Node, out: Value, region: Region) -> Wanted:
    value, factor = node.args
    *lead, channels, height, width = value.shape
    n = len(lead)
    split = (*lead, channels, height // factor, factor, width // factor, factor)
    return _shuffled(value, out, region, split, [*range(n), n, n + 2, n + 4, n + 1, n + 3])


@pull_rule("channel_shuffle")
def _channel_shuffle(node: Node, out: Value, region: Region) -> Wanted:
    value, groups = node.args
    batch, channels, *rest = value.shape
    split = (batch, groups, channels // groups, *rest)
    return _shuffled(value, out, region, split, [0, 2, 1, *range(3, 3 + len(rest))])


def _shuffled(value: Value, out: Value, region: Region, split: Shape, order: list[int]) -> Wanted:
    """Go back through a view as `split`, a permutation, and a view as the output."""
    middle = tuple([split[dim] for dim in order])
    parts = rearranged(region, out.shape, middle)
    turned = parts and _turned_back(parts, order)
    return [(value, rearranged(turned, split, value.shape))]


_PADS = {"reflection": "reflect", "replication": "edge", "_pad": "wrap"}

COPYING_PADS = frozenset({
    "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d", "replication_pad2d",
    "replication_pad3d", "_pad_circular",
})  # fmt: skip
"""Padding that is copied from the map. Where the network goes on beyond the border, it is virtual."""


def copied_by_pad(node: Node, out: Value, region: Region) -> Wanted:
    """Return the units of a map that its padding was copied from, beside those that stay where they are."""
    value, padding = node.args[:2]
    mode: Any = _PADS[node.op.partition("_pad")[0] or "_pad"]
    ways: list[Way] = [Taps(dim, 0) for dim in range(len(out.shape))]
    for pair in range(len(padding) // 2):
        dim = len(out.shape) - 1 - pair
        before, behind = padding[2 * pair : 2 * pair + 2]
        units = np.pad(np.arange(value.shape[dim]), (max(before, 0), max(behind, 0)), mode=mode)
        units = units[max(-before, 0) : len(units) - max(-behind, 0)]
        ways[dim] = intervals(dim, units, units)
    return [(value, carried(region, ways, out.shape, value.shape))]


@pull_rule("cat", "concat", "concatenate")
def _cat(node: Node, out: Value, region: Region) -> Wanted:
    # An empty one-dimensional tensor may stand among others; it adds nothing.
    values = [v for v in node.args[0] if v.shape != (0,)]
    dim = node.argument(1, "dim", 0) % len(out.shape)
    wanted: Wanted = []
    start = 0
    for value in values:
        if value.live:
            wanted.append((value, _part(region, dim, start, value.shape)))
        start += value.shape[dim]
    return wanted


@pull_rule("stack")
def _stack(node: Node, out: Value, region: Region) -> Wanted:
    dim = node.argument(1, "dim", 0) % len(out.shape)
    shape = (*out.shape[:dim], 1, *out.shape[dim + 1 :])
    return [
        (value, _without(_part(region, dim, place, shape), dim))
        for place, value in enumerate(node.args[0])
        if value.live
    ]


def _part(region: Region, dim: int, start: int, shape: Shape) -> Region | None:
    """Return what is wanted of a part, of a given shape, that starts somewhere along a dimension."""
    if region.origin[dim] is None:
        return region
    return clipped(shifted(region, dim, -start), shape, [dim])


def _without(region: Region | None, dim: int) -> Region | None:
    """Return a region of a tensor that lost a dimension."""
    return region and Region(
        any_along(region.marks, [dim]), (*region.origin[:dim], *region.origin[dim + 1 :])
    )


@pull_rule("glu")
def _glu(node: Node, out: Value, region: Region) -> Wanted:
    value = node.args[0]
    dim = node.argument(1, "dim", -1) % len(out.shape)
    if region.origin[dim] is None:
        return [(value, region)]
    return [(value, united(region, shifted(region, dim, out.shape[dim]), value.shape))]


@pull_rule("write_slice", "write_select")
def _write(node: Node, out: Value, region: Region) -> Wanted:
    """Split what is wanted of a tensor into what is left of it and what was written to it."""
    base, written, dim, start = node.args[:4]
    step = node.args[4] if node.op == "write_slice" else 1
    count = written.shape[dim] if node.op == "write_slice" else 1
    units = complete(region, [dim], out.shape)
    if units is None:
        return []
    place = (*(slice(None),) * dim, slice(start, start + step * (count - 1) + 1, step))
    left = units.marks.copy()
    left[place] = False
    inner = trimmed(Region(units.marks[place], units.origin))
    if node.op == "write_select":
        inner = _without(inner, dim)
    parts = [(base, trimmed(Region(left, units.origin))), (written, inner)]
    return [(value, part) for value, part in parts if value.live]


@pull_rule("col2im")
def _fold(node: Node, out: Value, region: Region) -> Wanted:
    """(N, C, H, W) back to patches (N, C * kh * kw, oh * ow), which were added where they overlap."""
    value = node.args[0]
    kernel, dilation, padding, stride = (spread(setting, 2) for setting in node.args[2:6])
    if len(value.shape) != 3:
        raise NoRule
    known = complete(region, [2, 3], out.shape)
    if known is None:
        return []
    counts = tuple([
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, d, p, s in zip(out.shape[2:], kernel, dilation, padding, stride, strict=True)
    ])  # fmt: skip
    canvas = np.pad(known.marks, [(0, 0), (0, 0), *((p, p) for p in padding)])
    marks = np.empty((*canvas.shape[:2], *kernel, *counts), dtype=bool)
    for tap in np.ndindex(*kernel):
        rows, columns = (
            slice(t * d, t * d + (count - 1) * s + 1, s)
            for t, d, s, count in zip(tap, dilation, stride, counts, strict=True)
        )
        marks[:, :, tap[0], tap[1]] = canvas[:, :, rows, columns]
    patches = trimmed(Region(marks, (*known.origin[:2], 0, 0, 0, 0)))
    return [(value, rearranged(patches, (*out.shape[:2], *kernel, *counts), value.shape))]
