"""How shadows follow indexing and gathering.

Index tables that don't depend on the image are read: which unit goes where is then known. With tables
that do depend on it, any unit along the indexed dimension may go anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import torch

from cifar_report.analyzer.constants import Table, table
from cifar_report.analyzer.field_mixing import mark_global
from cifar_report.analyzer.field_views import reshaped, with_dim, without_dim
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.receptive_field import Lookup, NoRule, Shadows, field_rule
from cifar_report.analyzer.shadow import EMPTY, Array, Shadow, Shape, expand, full, regular
from cifar_report.analyzer.shadow_union import hull, union
from cifar_report.analyzer.shadow_units import at_units


def picked(shadow: Shadow, shape: Shape, dim: int, units: Table) -> Shadow:
    """Return the shadow of some units along a dimension, in whose place come the table's dimensions."""
    taken = at_units(shadow, shape, dim, np.where(units < 0, units + shape[dim], units).astype(np.int64))
    return simplified(taken, (*shape[:dim], *units.shape, *shape[dim + 1 :]))


def simplified(shadow: Shadow, shape: Shape) -> Shadow:
    """Return a shadow with a pattern where there is one."""
    if shadow.plain or shadow.dim is not None:
        return shadow
    return regular(full(shadow.lo, len(shape)), full(shadow.hi, len(shape)), shadow)


@field_rule("index", "_unsafe_index")
def _index(node: Node, shadows: Lookup) -> Shadows:
    value, indices = node.args[:2]
    tables = [None if index is None else table(index) for index in indices]
    used = [dim for dim, index in enumerate(indices) if index is not None]
    own = _shadows_of(value, node, shadows)
    if len(used) == 1 and tables[used[0]] is None and indices[used[0]].dtype in _MASKS:
        return _masked(node, shadows, own, value.shape, used[0], indices[used[0]])
    if any(tables[dim] is None for dim in used):
        return _any_of(node, shadows, own, value.shape, used, [indices[dim] for dim in used])
    return tuple([_indexed(s, value.shape, tables) for s in own])


def _shadows_of(value: Value, node: Node, shadows: Lookup) -> Shadows:
    """Return the shadows of an operand, which may be a constant beside one that isn't."""
    return shadows(value) if value.live else (EMPTY,) * len(shadows(node.live_inputs[0]))


def _indexed(shadow: Shadow, shape: Shape, tables: Sequence[Table | None]) -> Shadow:
    used = [(dim, units) for dim, units in enumerate(tables) if units is not None]
    if len(used) == 1 and not _is_mask(used[0][1]):
        return picked(shadow, shape, *used[0])
    key = tuple([slice(None) if units is None else units for units in tables])
    return _fancy(shadow, shape, key)


def _any_of(
    node: Node, shadows: Lookup, own: Shadows, shape: Shape, dims: Sequence[int], indices: Sequence[Value]
) -> Shadows:
    """Return the shadows of units that may be any along some dimensions, chosen by other values."""
    out = node.outputs[0].shape
    if any(index.dtype in _MASKS for index in indices):
        raise NoRule
    left = tuple([1 if dim in dims else size for dim, size in enumerate(shape)])
    firsts: list[Table | None] = [None] * (max(dims) + 1)
    for dim, index in zip(dims, indices, strict=True):
        firsts[dim] = np.zeros(index.shape, dtype=np.int64)
    result = []
    for axis, shadow in enumerate(own):
        mixed = hull(shadow, shape, dims)
        parts = [(_indexed(mixed, left, firsts), out)]
        befores = [shadow]
        for index in indices:
            if index.live:
                before = shadows(index)[axis]
                parts.append((hull(before, index.shape, range(len(index.shape))), (1,) * len(out)))
                befores.append(before)
        result.append(mark_global(union(parts, out, node.index), befores, out, node.index))
    return tuple(result)


_MASKS = (torch.bool, torch.uint8)


def _masked(node: Node, shadows: Lookup, own: Shadows, shape: Shape, dim: int, mask: Value) -> Shadows:
    """Return the shadows of the units that a mask picks: which ones these are, all of it decides.

    The mask covers one dimension or several, in whose place comes one.
    """
    out = node.outputs[0].shape
    covered = range(dim, dim + len(mask.shape))
    result = []
    for axis, shadow in enumerate(own):
        mixed = hull(shadow, shape, covered)
        for extra in reversed(covered[1:]):
            mixed = without_dim(mixed, extra)
        parts = [(mixed, (*shape[:dim], 1, *shape[covered[-1] + 1 :]))]
        befores = [shadow]
        if mask.live:
            befores.append(shadows(mask)[axis])
            parts.append((hull(befores[-1], mask.shape, range(len(mask.shape))), (1,) * len(out)))
        result.append(mark_global(union(parts, out, node.index), befores, out, node.index))
    return tuple(result)


def _fancy(shadow: Shadow, shape: Shape, key: tuple[Any, ...]) -> Shadow:
    """Return the shadow after advanced indexing, which numpy and torch do alike."""
    if shadow.plain and shadow.dim is None:
        return shadow
    lo, hi = (_wide(bounds, shape, key)[key] for bounds in expand(shadow, shape))
    return regular(lo, hi, shadow)


def _is_mask(index: Any) -> bool:
    return isinstance(index, np.ndarray) and index.dtype.kind == "b"


def _wide(bounds: Array, shape: Shape, key: Sequence[Any]) -> Array:
    """Return bounds spread over the dimensions that are indexed."""
    sizes, dim = list(bounds.shape), 0
    for index in key:
        count = index.ndim if _is_mask(index) else 1
        if not isinstance(index, slice):
            sizes[dim : dim + count] = shape[dim : dim + count]
        dim += count
    return np.broadcast_to(bounds, sizes)


@field_rule("index_select")
def _index_select(node: Node, shadows: Lookup) -> Shadows:
    value, dim, index = node.args[:3]
    units = table(index)
    dim = dim % len(value.shape)
    own = _shadows_of(value, node, shadows)
    if units is None:
        return _any_of(node, shadows, own, value.shape, [dim], [index])
    return tuple([picked(s, value.shape, dim, units.reshape(-1)) for s in own])


@field_rule("take")
def _take(node: Node, shadows: Lookup) -> Shadows:
    value, index = node.args[:2]
    units = table(index)
    flat = (prod(value.shape),)
    if units is None or not value.live:
        raise NoRule
    return tuple([picked(reshaped(s, value.shape, flat), flat, 0, units) for s in shadows(value)])


@field_rule("gather")
def _gather(node: Node, shadows: Lookup) -> Shadows:
    value, dim, index = node.args[:3]
    dim = dim % max(len(value.shape), 1)
    units = table(index)
    own = _shadows_of(value, node, shadows)
    if units is None:
        if not index.live:
            raise NoRule
        shape = tuple([1 if d == dim else size for d, size in enumerate(index.shape)])
        crop = [_cropped(hull(s, value.shape, [dim]), value.shape, index.shape, dim) for s in own]
        return tuple([
            union([(mixed, shape), (choice, index.shape)], index.shape, node.index)
            for mixed, choice in zip(crop, shadows(index), strict=True)
        ])  # fmt: skip
    result = []
    for shadow in own:
        if shadow.plain and shadow.dim != dim:
            result.append(shadow)
            continue
        lo, hi = (
            np.take_along_axis(np.broadcast_to(bounds, value.shape)[corner(index.shape, dim)], units, dim)
            for bounds in expand(shadow, value.shape)
        )
        result.append(regular(lo, hi, shadow))
    return tuple(result)


def corner(sizes: Shape, dim: int) -> tuple[slice, ...]:
    """Return an index of the first units along every dimension but one."""
    return tuple([slice(None) if d == dim else slice(0, size) for d, size in enumerate(sizes)])


def _cropped(shadow: Shadow, shape: Shape, sizes: Shape, dim: int) -> Shadow:
    if shadow.plain:
        return shadow
    if shape[:dim] + shape[dim + 1 :] != sizes[:dim] + sizes[dim + 1 :]:
        raise NoRule
    return shadow


@field_rule("embedding")
def _embedding(node: Node, shadows: Lookup) -> Shadows:
    weight, index = node.args[:2]
    if weight.live:
        raise NoRule
    return tuple([with_dim(s, len(index.shape)) for s in shadows(index)])


@field_rule("embedding_bag", "_embedding_bag")
def _embedding_bag(node: Node, shadows: Lookup) -> list[Shadows]:
    """Bag b covers the indices from its offset to the next one."""
    weight, index, offsets = node.args[:3]
    starts = table(offsets)
    if weight.live or starts is None or len(node.live_inputs) > 1:
        raise NoRule
    result = []
    for shadow in shadows(index):
        lo, hi = (np.broadcast_to(bounds, index.shape) for bounds in expand(shadow, index.shape))
        lo, hi = np.minimum.reduceat(lo, starts), np.maximum.reduceat(hi, starts)
        result.append(regular(lo[:, None], hi[:, None], shadow))
    return [tuple(result)] * len(node.outputs)
