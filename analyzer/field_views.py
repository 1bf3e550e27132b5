"""How shadows follow operators that move units without computing: views, slices, joins, indexing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import prod

import numpy as np

from cifar_report.analyzer.graph import Node
from cifar_report.analyzer.receptive_field import Lookup, NoRule, Shadows, field_rule
from cifar_report.analyzer.shadow import (
    EMPTY,
    Array,
    Bounds,
    Shadow,
    Shape,
    along,
    constant_along,
    expand,
    plain_bounds,
    regular,
    squeezed,
)
from cifar_report.analyzer.shadow_union import hull, union
from cifar_report.analyzer.shadow_units import resample


def permuted(shadow: Shadow, order: Sequence[int]) -> Shadow:
    """Return a shadow with the tensor's dimensions in a new order."""
    lo, hi = shadow.lo, shadow.hi
    if shadow.plain and shadow.dim is None:
        return shadow
    return Shadow(
        lo if isinstance(lo, int) else lo.transpose(order),
        hi if isinstance(hi, int) else hi.transpose(order),
        None if shadow.dim is None else list(order).index(shadow.dim),
        shadow.advance,
        shadow.period,
        shadow.cause,
    )


def reshaped(shadow: Shadow, shape: Shape, new_shape: Shape) -> Shadow:
    """Return a shadow after the tensor's units were arranged anew in the same order."""
    if shadow.plain and shadow.dim is None:
        return shadow
    dim = shadow.dim
    moved = None if dim is None else _same_dim(dim, tuple(shape), tuple(new_shape))
    if dim is None or moved is None:
        lo, hi = (_reshape(b, shape, new_shape) for b in expand(shadow, shape))
        return regular(lo, hi, shadow)
    if shadow.plain:
        return Shadow(shadow.lo, shadow.hi, moved, shadow.advance, 1, shadow.cause)
    bounds: list[Bounds] = []
    for old in (shadow.lo, shadow.hi):
        if not isinstance(old, int):
            own = old.shape[dim]
            if own == 1:
                old = _reshape(old, shape, new_shape)
            else:
                old = _reshape(old, _resized(shape, dim, own), _resized(new_shape, moved, own))
        bounds.append(old)
    return Shadow(bounds[0], bounds[1], moved, shadow.advance, shadow.period, shadow.cause)


@lru_cache(maxsize=1024)
def _same_dim(dim: int, shape: Shape, new_shape: Shape) -> int | None:
    """Return where a dimension went, if it is neither merged nor split."""
    behind = prod(shape[dim + 1 :])
    for new_dim, size in enumerate(new_shape):
        if size == shape[dim] and prod(new_shape[new_dim + 1 :]) == behind:
            return new_dim
    return None


def _resized(shape: Shape, dim: int, size: int) -> Shape:
    return (*shape[:dim], size, *shape[dim + 1 :])


def _reshape(bounds: Array, shape: Shape, new_shape: Shape) -> Array:
    """Reshape bounds, spread only over those dimensions that are merged with one that varies."""
    old_sizes, new_sizes = _spread(bounds.shape, tuple(shape), tuple(new_shape))
    wide = bounds if bounds.shape == old_sizes else np.broadcast_to(bounds, old_sizes)
    return wide.reshape(new_sizes)


@lru_cache(maxsize=1024)
def _spread(own: Shape, shape: Shape, new_shape: Shape) -> tuple[Shape, Shape]:
    old_sizes, new_sizes = [1] * len(shape), [1] * len(new_shape)
    for old_dims, new_dims in blocks(shape, new_shape):
        if any(own[dim] > 1 for dim in old_dims):
            for dim in old_dims:
                old_sizes[dim] = shape[dim]
            for dim in new_dims:
                new_sizes[dim] = new_shape[dim]
    return tuple(old_sizes), tuple(new_sizes)


@lru_cache(maxsize=1024)
def blocks(shape: Shape, new_shape: Shape) -> list[tuple[list[int], list[int]]]:
    """Pair up runs of dimensions, old and new, that hold the same number of units."""
    if 0 in shape:  # no units, which any sizes hold
        return [(list(range(len(shape))), list(range(len(new_shape))))]
    pairs = []
    old = new = 0
    while old < len(shape) or new < len(new_shape):
        old_dims, new_dims, left, right = [], [], 1, 1
        while True:
            if left <= right and old < len(shape):
                left *= shape[old]
                old_dims.append(old)
                old += 1
            elif new < len(new_shape):
                right *= new_shape[new]
                new_dims.append(new)
                new += 1
            else:
                left *= shape[old]
                old_dims.append(old)
                old += 1
            if left == right:
                break
        pairs.append((old_dims, new_dims))
    return pairs


def without_dim(shadow: Shadow, dim: int) -> Shadow:
    """Return a shadow of a tensor that lost a dimension along which nothing varies any more."""
    if shadow.plain and shadow.dim is None:
        return shadow
    lo, hi = (b if isinstance(b, int) else b.squeeze(dim) for b in (shadow.lo, shadow.hi))
    moved = shadow.dim - 1 if shadow.dim is not None and shadow.dim > dim else shadow.dim
    return Shadow(lo, hi, moved, shadow.advance, shadow.period, shadow.cause)


def with_dim(shadow: Shadow, dim: int) -> Shadow:
    """Return a shadow of a tensor that got a new dimension of size 1."""
    if shadow.plain and shadow.dim is None:
        return shadow
    lo, hi = (b if isinstance(b, int) else np.expand_dims(b, dim) for b in (shadow.lo, shadow.hi))
    moved = shadow.dim + 1 if shadow.dim is not None and shadow.dim >= dim else shadow.dim
    return Shadow(lo, hi, moved, shadow.advance, shadow.period, shadow.cause)


def sliced(shadow: Shadow, shape: Shape, dim: int, start: int, step: int, out: int) -> Shadow:
    """Return a shadow after units start, start + step ... were kept along a dimension."""
    if out == 0:
        return EMPTY
    if start == 0 and step == 1 and out == shape[dim]:
        return shadow
    lo, hi, last = shadow.lo, shadow.hi, start + (out - 1) * step
    if dim == shadow.dim:
        if shadow.period == 1:
            shift = start * shadow.advance
            return Shadow(lo + shift, hi + shift, dim, shadow.advance * step, 1, shadow.cause)
    elif constant_along(shadow, dim):
        return shadow
    elif shadow.dim is not None and 0 <= start <= last < shape[dim]:
        kept = along(len(shape), dim, slice(start, last + 1, step))
        lo, hi = (
            b if isinstance(b, int) or b.shape[dim] == 1 else plain_bounds(squeezed(b[kept]))
            for b in (lo, hi)
        )
        return Shadow(lo, hi, shadow.dim, shadow.advance, shadow.period, shadow.cause)
    return resample(shadow, len(shape), dim, out, np.array([[start]]), step)


def at_index(shadow: Shadow, shape: Shape, dim: int, index: int) -> Shadow:
    """Return a shadow after one unit was picked along a dimension, which is gone."""
    one = sliced(shadow, shape, dim, index % shape[dim], 1, 1)
    if one.dim == dim:
        lo, hi = expand(one, (*shape[:dim], 1, *shape[dim + 1 :]))
        one = regular(lo, hi, one)
        if one.dim is None and shadow.advance:
            one = replace(one, advance=shadow.advance)
    return without_dim(one, dim)


@field_rule("permute")
def _permute(node: Node, shadows: Lookup) -> Shadows:
    value = node.args[0]
    order = [dim % len(value.shape) for dim in node.argument(1, "dims")]
    return tuple([permuted(s, order) for s in shadows(value)])


@field_rule("transpose", "swapaxes", "swapdims")
def _transpose(node: Node, shadows: Lookup) -> Shadows:
    value, first, second = node.args
    order = list(range(len(value.shape)))
    order[first], order[second] = order[second], order[first]
    return tuple([permuted(s, order) for s in shadows(value)])


@field_rule("t", "numpy_T", "mT")
def _last_two(node: Node, shadows: Lookup) -> Shadows:
    value = node.args[0]
    order = list(range(len(value.shape)))
    order[-2:] = order[-2:][::-1]
    return tuple([permuted(s, order) for s in shadows(value)])


@field_rule("view", "reshape", "_unsafe_view", "flatten", "unflatten", "view_as", "reshape_as", "squeeze",
            "unsqueeze")  # fmt: skip
def _reshape_rule(node: Node, shadows: Lookup) -> Shadows:
    value, out = node.args[0], node.outputs[0]
    if prod(value.shape) != prod(out.shape):
        raise NoRule  # a view of another dtype
    return tuple([reshaped(s, value.shape, out.shape) for s in shadows(value)])


@field_rule("expand", "expand_as", "broadcast_to")
def _expand(node: Node, shadows: Lookup) -> Shadows:
    value, out = node.args[0], node.outputs[0]
    return tuple([union([(s, value.shape)], out.shape, node.index) for s in shadows(value)])


@field_rule("select")
def _select(node: Node, shadows: Lookup) -> Shadows:
    value, dim, index = node.args
    if not isinstance(index, int):
        raise NoRule
    return tuple([at_index(s, value.shape, dim % len(value.shape), index) for s in shadows(value)])


@field_rule("slice", "narrow")
def _slice(node: Node, shadows: Lookup) -> Shadows:
    value, out = node.args[0], node.outputs[0]
    dim = node.argument(1, "dim", 0) % len(value.shape)
    start, step = node.argument(2, "start") or 0, 1
    if node.op == "slice":
        start, _, step = slice(start, None, node.argument(4, "step", 1)).indices(value.shape[dim])
    start = start + value.shape[dim] if start < 0 else start
    return tuple([sliced(s, value.shape, dim, start, step, out.shape[dim]) for s in shadows(value)])


@field_rule("chunk", "split", "split_with_sizes", "tensor_split", "unsafe_chunk", "unsafe_split")
def _split(node: Node, shadows: Lookup) -> list[Shadows]:
    value = node.args[0]
    dim = node.argument(2, "dim", 0) % len(value.shape)
    results, start = [], 0
    for out in node.outputs:
        size = out.shape[dim]
        results.append(tuple([sliced(s, value.shape, dim, start, 1, size) for s in shadows(value)]))
        start += size
    return results


@field_rule("unbind")
def _unbind(node: Node, shadows: Lookup) -> list[Shadows]:
    value = node.args[0]
    dim = node.argument(1, "dim", 0) % len(value.shape)
    return [
        tuple([at_index(s, value.shape, dim, index) for s in shadows(value)])
        for index in range(value.shape[dim])
    ]


@field_rule("view_as_real")
def _as_real(node: Node, shadows: Lookup) -> Shadows:
    value = node.args[0]
    return tuple([with_dim(s, len(value.shape)) for s in shadows(value)])


@field_rule("view_as_complex")
def _as_complex(node: Node, shadows: Lookup) -> Shadows:
    value = node.args[0]
    last = len(value.shape) - 1
    return tuple([without_dim(hull(s, value.shape, [last]), last) for s in shadows(value)])


@field_rule("diagonal")
def _diagonal(node: Node, shadows: Lookup) -> Shadows:
    value = node.args[0]
    rank = len(value.shape)
    offset = node.argument(1, "offset", 0)
    first, second = node.argument(2, "dim1", 0) % rank, node.argument(3, "dim2", 1) % rank
    result = []
    for shadow in shadows(value):
        if shadow.plain and shadow.dim is None:
            result.append(shadow)
            continue
        sides = []
        for bounds in expand(shadow, value.shape):
            sizes = [n if d in (first, second) else m for d, (n, m) in
                     enumerate(zip(value.shape, bounds.shape, strict=True))]  # fmt: skip
            sides.append(np.diagonal(np.broadcast_to(bounds, sizes), offset, first, second))
        result.append(regular(sides[0], sides[1], shadow))
    return tuple(result)
