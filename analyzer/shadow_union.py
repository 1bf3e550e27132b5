"""Shadows of several units together: united unit by unit, or mixed along whole dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from cifar_report.analyzer.shadow import (
    Array,
    Bounds,
    Shadow,
    Shape,
    along,
    expand,
    full,
    keep_empty,
    plain_bounds,
    regular,
    squeezed,
)


def union(parts: Sequence[tuple[Shadow, Shape]], out_shape: Shape, node: int) -> Shadow:
    """Return the hull of operands that are combined unit by unit, with broadcasting.

    Args:
        parts: the operands that depend on the image, with their shapes.
        out_shape: the shape of the result.
        node: to blame when an operand that doesn't move over the image joins one that does.
    """
    rank = len(out_shape)
    seeing = [part for part in parts if not part[0].sees_nothing] or parts[:1]
    aligned = [_settled(shift_rank(shadow, len(shape), rank), shape, out_shape) for shadow, shape in seeing]
    first = aligned[0]
    if all(shadow.equals(first) for shadow in aligned[1:]):
        return first
    if all(s.pattern == first.pattern for s in aligned) and _comparable(aligned, seeing, out_shape):
        cause = next((s.cause for s in aligned if s.cause is not None), None)
        lo, hi = first.lo, first.hi
        if first.dim is None and _product(aligned) > _LARGEST * max(map(_size, aligned)):
            return replace(first, cause=cause, others=tuple(aligned[1:]))
        for shadow in aligned[1:]:
            lo = min(lo, shadow.lo) if _ints(lo, shadow.lo) else np.minimum(lo, shadow.lo)
            hi = max(hi, shadow.hi) if _ints(hi, shadow.hi) else np.maximum(hi, shadow.hi)
        if first.dim is None and not _ints(lo, hi):
            return replace(regular(full(lo, rank), full(hi, rank), first), cause=cause)
        return Shadow(lo, hi, first.dim, first.advance, first.period, cause)
    shapes = [(1,) * (rank - len(shape)) + shape for _, shape in seeing]
    return _expanded_union(aligned, shapes, node)


_LARGEST = 16
"""Operands are kept apart when their hull is an array this many times larger than the largest of them."""


def _size(shadow: Shadow) -> int:
    return max(1 if isinstance(bounds, int) else bounds.size for bounds in (shadow.lo, shadow.hi))


def _product(shadows: Sequence[Shadow]) -> int:
    """Return how large an array several bounds broadcast to."""
    shapes = [b.shape for s in shadows for b in (s.lo, s.hi) if not isinstance(b, int)]
    return prod(np.broadcast_shapes(*shapes))


def _expanded_union(aligned: Sequence[Shadow], shapes: Sequence[Shape], node: int) -> Shadow:
    bounds = [expand(shadow, shape) for shadow, shape in zip(aligned, shapes, strict=True)]
    moving = max(aligned, key=lambda s: (s.dim is not None, s.advance))
    causes = [s.cause for s in aligned if s.cause is not None]
    sizes = [np.broadcast_shapes(lo.shape, hi.shape) for lo, hi in bounds]
    if prod(np.broadcast_shapes(*sizes)) > _LARGEST * max(map(prod, sizes)):
        # One operand varies along the rows of a matrix, say, the other along its columns.
        apart = [Shadow(plain_bounds(lo), plain_bounds(hi), None, s.advance, 1, s.cause)
                 for (lo, hi), s in zip(bounds, aligned, strict=True)]  # fmt: skip
        return replace(apart[0], others=tuple(apart[1:]))
    lo_array, hi_array = bounds[0]
    for lo_other, hi_other in bounds[1:]:
        lo_array, hi_array = np.minimum(lo_array, lo_other), np.maximum(hi_array, hi_other)
    result = regular(lo_array, hi_array, moving)
    if causes:
        return replace(result, cause=causes[0])
    # A pooled value that is spread over a map again: from here every unit sees everything.
    still = result.dim is None and result.plain and any(s.dim is not None for s in aligned)
    return replace(result, cause=node) if still else result


def _settled(shadow: Shadow, shape: Shape, out_shape: Shape) -> Shadow:
    """Return the shadow of a tensor's only unit along a dimension that is going to be broadcast."""
    dim = shadow.dim
    if dim is None or dim < len(out_shape) - len(shape) or out_shape[dim] == shape[dim - len(out_shape)]:
        return shadow
    lo, hi = (
        bounds if isinstance(bounds, int) else plain_bounds(bounds[along(bounds.ndim, dim, slice(0, 1))])
        for bounds in (shadow.lo, shadow.hi)
    )
    return Shadow(lo, hi, None, shadow.advance, 1, shadow.cause)


def _comparable(aligned: Sequence[Shadow], parts: Sequence[tuple[Shadow, Shape]], out_shape: Shape) -> bool:
    """Return whether no operand is broadcast along the dimension in which the interval moves."""
    dim = aligned[0].dim
    if dim is None:
        return True
    sizes = [shape[dim - len(out_shape)] for _, shape in parts]
    return all(size == out_shape[dim] for size in sizes)


def _ints(left: Bounds, right: Bounds) -> bool:
    return isinstance(left, int) and isinstance(right, int)


def shift_rank(shadow: Shadow, rank: int, new_rank: int) -> Shadow:
    """Return the shadow of a tensor that got leading dimensions of size 1 to broadcast."""
    extra = new_rank - rank
    if extra == 0 or (shadow.plain and shadow.dim is None):
        return shadow
    lead = (1,) * extra
    lo, hi = (b if isinstance(b, int) else b.reshape(lead + b.shape) for b in (shadow.lo, shadow.hi))
    dim = None if shadow.dim is None else shadow.dim + extra
    return Shadow(lo, hi, dim, shadow.advance, shadow.period, shadow.cause)


def hull(shadow: Shadow, shape: Shape, dims: Sequence[int]) -> Shadow:
    """Return the shadow after mixing all units along some dimensions, which become size 1."""
    lo, hi, dim = shadow.lo, shadow.hi, shadow.dim
    advance = shadow.advance
    if shadow.plain and dim not in dims:
        return shadow
    if dim in dims and dim is not None:
        size = shape[dim]
        if shadow.plain:
            hi, advance, dim = hi + advance * (size - 1), advance * size, None
        elif shadow.period == 1:
            low, high = full(lo, len(shape)), full(hi, len(shape))
            lo, hi = keep_empty(low, high + advance * (size - 1))
            advance, dim = advance * size, None
        else:
            lo, hi = expand(shadow, shape)
            advance, dim = advance * size // shadow.period, None
    lo = lo if isinstance(lo, int) else _extreme(lo, dims, low=True)
    hi = hi if isinstance(hi, int) else _extreme(hi, dims, low=False)
    return Shadow(lo, hi, dim, advance, shadow.period if dim is not None else 1, shadow.cause)


def _extreme(bounds: Array, dims: Sequence[int], *, low: bool) -> Bounds:
    """Return the least or largest bound along some dimensions."""
    axes = tuple([dim for dim in dims if bounds.shape[dim] > 1])
    if len(axes) == 1 and bounds.shape[axes[0]] == bounds.size:
        return bounds.item(bounds.argmin() if low else bounds.argmax())
    mixed: Array = bounds.min(axis=axes, keepdims=True) if low else bounds.max(axis=axes, keepdims=True)
    return plain_bounds(mixed)


def accumulated(shadow: Shadow, shape: Shape, dim: int, *, backwards: bool = False) -> Shadow:
    """Return the shadow after every unit saw all before it along a dimension, or all behind it."""
    if shadow.plain and shadow.dim != dim:
        return shadow
    if shadow.dim == dim:
        lo, hi = expand(shadow, shape)
        shadow = replace(shadow, dim=None, period=1)
    else:
        lo, hi = full(shadow.lo, len(shape)), full(shadow.hi, len(shape))
    order = slice(None, None, -1 if backwards else 1)
    back = along(lo.ndim, dim, order)
    lo, hi = np.minimum.accumulate(lo[back], axis=dim)[back], np.maximum.accumulate(hi[back], axis=dim)[back]
    return replace(shadow, lo=plain_bounds(squeezed(lo)), hi=plain_bounds(squeezed(hi)))
