"""How shadows follow operators that move units: joins, rolls, shuffles, padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from math import prod

import numpy as np

from cifar_report.analyzer.field_index import simplified
from cifar_report.analyzer.field_views import permuted, reshaped, sliced, with_dim
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.receptive_field import Lookup, Shadows, field_rule
from cifar_report.analyzer.shadow import EMPTY, Array, Bounds, Shadow, Shape, expand, full, regular
from cifar_report.analyzer.shadow_union import shift_rank, union
from cifar_report.analyzer.shadow_units import at_units


def joined(parts: Sequence[Shadow], shapes: Sequence[Shape], dim: int) -> Shadow:
    """Return the shadow of tensors that were concatenated along a dimension."""
    quick = _joined_lines(parts, shapes, dim)
    if quick is not None:
        return quick
    first = next((p for p in parts if not p.sees_nothing), EMPTY)
    rank = len(shapes[0])
    cause = next((p.cause for p in parts if p.cause is not None), None)
    # A part that sees nothing fits any pattern.
    like = [replace(first, lo=p.lo, hi=p.hi) if p.sees_nothing else p for p in parts]
    same = all(p.pattern == first.pattern for p in like)
    keep = same and first.dim != dim
    sizes = [shape[dim] for shape in shapes]
    bounds: list[Array] = []
    for side in (0, 1):
        pieces = [
            (full(part.lo, rank), full(part.hi, rank))[side] if keep else expand(part, own)[side]
            for part, own in zip(like, shapes, strict=True)
        ]
        spread = np.broadcast_shapes(*[(*p.shape[:dim], 1, *p.shape[dim + 1 :]) for p in pieces])
        wide = [
            np.broadcast_to(piece, (*spread[:dim], size, *spread[dim + 1 :]))
            for piece, size in zip(pieces, sizes, strict=True)
        ]
        bounds.append(np.concatenate(wide, axis=dim))
    if keep:
        return replace(first, lo=bounds[0], hi=bounds[1], cause=cause)
    return replace(regular(bounds[0], bounds[1], first), cause=cause)


def _joined_lines(parts: Sequence[Shadow], shapes: Sequence[Shape], dim: int) -> Shadow | None:
    """Return the same for parts that move alike and vary along this dimension only, in microseconds."""
    first = parts[0]
    moving, advance, cause = first.dim, first.advance, None
    if moving == dim:
        return None
    lows, highs, lines = [], [], False
    for part, shape in zip(parts, shapes, strict=True):
        lo, hi = part.lo, part.hi
        if part.period != 1 or ((part.dim != moving or part.advance != advance) and not part.sees_nothing):
            return None
        for bounds in (lo, hi):
            if not isinstance(bounds, int):
                if bounds.size != shape[dim] or bounds.shape[dim] != shape[dim]:
                    return None
                lines = True
        lows.append(lo)
        highs.append(hi)
        cause = part.cause if cause is None else cause
    if not lines and min(lows) == max(lows) and min(highs) == max(highs):
        return Shadow(lows[0], highs[0], moving, advance, 1, cause)
    sizes = tuple([shape[dim] for shape in shapes])
    like = (*(1,) * dim, -1, *(1,) * (len(shapes[0]) - dim - 1))
    if lines:
        lo, hi = [_line(ends, sizes).reshape(like) for ends in (lows, highs)]
    else:
        lo, hi = [_steps(tuple(ends), sizes, like) for ends in (lows, highs)]
    return Shadow(lo, hi, moving, advance, 1, cause)


def _line(ends: Sequence[Bounds], sizes: Sequence[int]) -> Array:
    line, start = np.empty(sum(sizes), dtype=np.int64), 0
    for end, size in zip(ends, sizes, strict=True):
        line[start : start + size] = end if isinstance(end, int) else end.ravel()
        start += size
    return line


@lru_cache(maxsize=8)
def _steps(ends: tuple[int, ...], sizes: tuple[int, ...], like: Shape) -> Array:
    """Return a bound of each part as often as it has units; most often both axes of an image ask alike."""
    return np.repeat(np.array(ends), sizes).reshape(like)


def _of_parts(node: Node, values: Sequence[Value], shadows: Lookup) -> list[Shadows]:
    """Return the shadows of values to be joined; constants see nothing."""
    axes = len(shadows(node.live_inputs[0]))
    return [shadows(v) if v.live else (EMPTY,) * axes for v in values]


@field_rule("cat", "concat", "concatenate")
def _cat(node: Node, shadows: Lookup) -> Shadows:
    # An empty one-dimensional tensor may stand among others; it adds nothing.
    values = [v for v in node.args[0] if v.shape != (0,)] or node.args[0][:1]
    dim = node.argument(1, "dim", 0) % len(node.outputs[0].shape)
    parts = _of_parts(node, values, shadows)
    shapes = [v.shape for v in values]
    return tuple([joined(axis, shapes, dim) for axis in zip(*parts, strict=True)])


@field_rule("stack")
def _stack(node: Node, shadows: Lookup) -> Shadows:
    values, rank = node.args[0], len(node.outputs[0].shape)
    dim = node.argument(1, "dim", 0) % rank
    parts = [tuple([with_dim(s, dim) for s in part]) for part in _of_parts(node, values, shadows)]
    shapes = [(*v.shape[:dim], 1, *v.shape[dim:]) for v in values]
    return tuple([joined(axis, shapes, dim) for axis in zip(*parts, strict=True)])


@field_rule("flip")
def _flip(node: Node, shadows: Lookup) -> Shadows:
    value, dims = node.args
    return tuple(
        [_moved(s, value.shape, dims, lambda b, along: np.flip(b, tuple(along))) for s in shadows(value)]
    )


@field_rule("roll")
def _roll(node: Node, shadows: Lookup) -> Shadows:
    value, shifts = node.args[:2]
    dims = node.argument(2, "dims", ())
    if not dims:
        return _rolled_flat(shadows(value), value.shape, shifts)
    by = dict(zip(dims, shifts, strict=True))

    def roll(bounds: Array, along: Sequence[int]) -> Array:
        return np.roll(bounds, [by[dim] for dim in along], along)

    return tuple([_moved(s, value.shape, dims, roll) for s in shadows(value)])


def _rolled_flat(shadows: Shadows, shape: Shape, shifts: Sequence[int] | int) -> Shadows:
    by = shifts if isinstance(shifts, int) else shifts[0]
    flat = (prod(shape),)
    result = []
    for shadow in shadows:
        line = _moved(reshaped(shadow, shape, flat), flat, [0], lambda b, _: np.roll(b, by, 0))
        result.append(reshaped(line, flat, shape))
    return tuple(result)


@field_rule("rot90")
def _rot90(node: Node, shadows: Lookup) -> Shadows:
    value = node.args[0]
    times, dims = node.argument(1, "k", 1) % 4, node.argument(2, "dims", (0, 1))
    first, second = (dim % len(value.shape) for dim in dims)
    order = list(range(len(value.shape)))
    order[first], order[second] = order[second], order[first]
    turned = {0: (), 1: (second,), 2: (first, second), 3: (first,)}[times]
    result = []
    for shadow in shadows(value):
        shadow = _moved(shadow, value.shape, turned, lambda b, along: np.flip(b, tuple(along)))
        result.append(permuted(shadow, order) if times % 2 else shadow)
    return tuple(result)


@field_rule("repeat")
def _repeat(node: Node, shadows: Lookup) -> Shadows:
    """(.., n, ..) to (.., n * times, ..), with new dimensions in front where there are more numbers."""
    value, times = node.args[:2]
    rank = len(times)
    shape = (1,) * (rank - len(value.shape)) + value.shape
    result = []
    for shadow in shadows(value):
        shadow, own = shift_rank(shadow, len(value.shape), rank), shape
        for dim, count in enumerate(times):
            if count > 1:
                shadow = at_units(shadow, own, dim, np.tile(np.arange(own[dim]), count))
                own = (*own[:dim], own[dim] * count, *own[dim + 1 :])
        result.append(simplified(shadow, own))
    return tuple(result)


@field_rule("glu")
def _glu(node: Node, shadows: Lookup) -> Shadows:
    value, out = node.args[0], node.outputs[0].shape
    dim = node.argument(1, "dim", -1) % len(out)
    half = out[dim]
    return tuple([
        union([(sliced(s, value.shape, dim, start, 1, half), out) for start in (0, half)], out, node.index)
        for s in shadows(value)
    ])  # fmt: skip


def _moved(
    shadow: Shadow, shape: Shape, dims: Sequence[int], move: Callable[[Array, Sequence[int]], Array]
) -> Shadow:
    """Apply a function that moves units along some dimensions to both bounds."""
    rank = len(shape)
    if shadow.dim is not None and any(dim % rank == shadow.dim for dim in dims):
        lo, hi = expand(shadow, shape)
        return regular(_move(lo, dims, move), _move(hi, dims, move), shadow)
    if shadow.plain:
        return shadow
    lo, hi = (_move(full(bounds, rank), dims, move) for bounds in (shadow.lo, shadow.hi))
    return replace(shadow, lo=lo, hi=hi)


def _move(bounds: Array, dims: Sequence[int], move: Callable[[Array, Sequence[int]], Array]) -> Array:
    along = [dim for dim in dims if bounds.shape[dim] > 1]
    return move(bounds, along) if along else bounds


@field_rule("pixel_shuffle")
def _pixel_shuffle(node: Node, shadows: Lookup) -> Shadows:
    value, factor = node.args
    *lead, channels, height, width = value.shape
    n = len(lead)
    split = (*lead, channels // factor**2, factor, factor, height, width)
    order = [*range(n), n, n + 3, n + 1, n + 4, n + 2]
    return _rearranged(node, shadows(value), value.shape, split, order)


@field_rule("pixel_unshuffle")
def _pixel_unshuffle(node: Node, shadows: Lookup) -> Shadows:
    value, factor = node.args
    *lead, channels, height, width = value.shape
    n = len(lead)
    split = (*lead, channels, height // factor, factor, width // factor, factor)
    order = [*range(n), n, n + 2, n + 4, n + 1, n + 3]
    return _rearranged(node, shadows(value), value.shape, split, order)


@field_rule("channel_shuffle")
def _channel_shuffle(node: Node, shadows: Lookup) -> Shadows:
    value, groups = node.args
    batch, channels, *rest = value.shape
    split = (batch, groups, channels // groups, *rest)
    order = [0, 2, 1, *range(3, 3 + len(rest))]
    return _rearranged(node, shadows(value), value.shape, split, order)


def _rearranged(node: Node, shadows: Shadows, shape: Shape, split: Shape, order: list[int]) -> Shadows:
    middle = tuple([split[dim] for dim in order])
    return tuple([
        reshaped(permuted(reshaped(s, shape, split), order), middle, node.outputs[0].shape) for s in shadows
    ])  # fmt: skip


@field_rule("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
            "replication_pad1d", "replication_pad2d", "replication_pad3d", "_pad_circular")  # fmt: skip
def _pad(node: Node, shadows: Lookup) -> Shadows:
    """Padding is virtual input: the pattern goes on beyond the border, whatever it is filled with."""
    value, padding = node.args[:2]
    rank = len(value.shape)
    result = []
    for shadow in shadows(value):
        shape = list(value.shape)
        for pair in range(len(padding) // 2):
            dim = rank - 1 - pair
            if padding[2 * pair] or padding[2 * pair + 1]:
                out = node.outputs[0].shape[dim]
                shadow = sliced(shadow, tuple(shape), dim, -padding[2 * pair], 1, out)
                shape[dim] = out
        result.append(shadow)
    return tuple(result)
