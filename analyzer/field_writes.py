"""How shadows follow writes in place: to a whole tensor, to a slice of it, to one of its units."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cifar_report.analyzer.field_views import with_dim
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.receptive_field import Lookup, Shadows, field_rule
from cifar_report.analyzer.shadow import EMPTY, Array, Bounds, Shadow, Shape, expand, full, regular
from cifar_report.analyzer.shadow_union import union


@field_rule("copy")
def _copy(node: Node, shadows: Lookup) -> Shadows:
    """The source, spread over the target, of which nothing is left."""
    target, source = node.args[:2]
    if not source.live:
        return (EMPTY,) * len(shadows(target))
    return tuple([union([(s, source.shape)], target.shape, node.index) for s in shadows(source)])


@field_rule("write_slice")
def _write_slice(node: Node, shadows: Lookup) -> Shadows:
    base, new, dim, start, step = node.args
    return _written(base, new, shadows, dim, slice(start, start + step * (new.shape[dim] - 1) + 1, step))


@field_rule("write_select")
def _write_select(node: Node, shadows: Lookup) -> Shadows:
    base, new, dim, index = node.args
    return _written(base, new, shadows, dim, slice(index, index + 1))


def _written(base: Value, new: Value, shadows: Lookup, dim: int, where: slice) -> Shadows:
    axes = len(shadows(new if new.live else base))
    whole = shadows(base) if base.live else (EMPTY,) * axes
    part = shadows(new) if new.live else (EMPTY,) * axes
    if len(new.shape) < len(base.shape):
        part = tuple([with_dim(shadow, dim) for shadow in part])
    count = len(range(*where.indices(base.shape[dim])))
    part_shape = (*base.shape[:dim], count, *base.shape[dim + 1 :])
    return tuple([
        overwritten(old, written, base.shape, part_shape, dim, where)
        for old, written in zip(whole, part, strict=True)
    ])  # fmt: skip


def overwritten(old: Shadow, new: Shadow, shape: Shape, part: Shape, dim: int, where: slice) -> Shadow:
    """Return the shadow of a tensor of which a slice along one dimension was replaced.

    Args:
        old: of the tensor before.
        new: of what was written.
        shape: of the tensor.
        part: of what was written.
        dim: the dimension.
        where: the units along it that were replaced.
    """
    if old.equals(new) and old.dim != dim:
        return old
    if part[dim] == shape[dim]:
        return new
    if old.pattern == new.pattern and old.dim != dim and _alike(old, new, dim):
        return old
    like = old if not old.sees_nothing else new
    # What sees nothing fits any pattern.
    pair = [s if not s.sees_nothing else replace(like, lo=s.lo, hi=s.hi) for s in (old, new)]
    keep = pair[0].pattern == pair[1].pattern and like.dim != dim
    rank = len(shape)
    raw = [(full(s.lo, rank), full(s.hi, rank)) if keep else expand(s, own)
           for s, own in zip(pair, (shape, part), strict=True)]  # fmt: skip
    bounds: list[Array] = []
    for side in (0, 1):
        before, written = raw[0][side], raw[1][side]
        sizes = np.broadcast_shapes(_without(before.shape, dim), _without(written.shape, dim))
        result = np.broadcast_to(before, (*sizes[:dim], shape[dim], *sizes[dim + 1 :])).copy()
        result[(*(slice(None),) * dim, where)] = written
        bounds.append(result)
    if keep:
        return replace(like, lo=bounds[0], hi=bounds[1])
    return replace(
        regular(bounds[0], bounds[1], like), cause=old.cause if old.cause is not None else new.cause
    )


def _alike(old: Shadow, new: Shadow, dim: int) -> bool:
    """Return whether both hold the same bounds, which don't vary along a dimension."""
    return _same(old.lo, new.lo, dim) and _same(old.hi, new.hi, dim)


def _same(before: Bounds, after: Bounds, dim: int) -> bool:
    if isinstance(before, int) or isinstance(after, int):
        return isinstance(before, int) and isinstance(after, int) and before == after
    return before.shape[dim] == 1 and np.array_equal(before, after)


def _without(shape: Shape, dim: int) -> Shape:
    return (*shape[:dim], 1, *shape[dim + 1 :])
