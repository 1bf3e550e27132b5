"""Sets of a tensor's units.

A `Region` marks the units that something behind them depends on. Along a dimension in which all units
are alike it holds one mark for all of them; elsewhere it holds a mark for each, from its origin on. The
origin may be negative and the end beyond the tensor: units in the padding are virtual, and the network
is taken to go on there, as for the size of a receptive field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_report.analyzer.shadow import Shape

Marks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """A set of units; see the module's docstring."""

    marks: Marks
    """Of the tensor's rank."""
    origin: tuple[int | None, ...]
    """Coordinate of the first mark per dimension; None where one mark stands for the whole dimension."""

    def span(self, dim: int, size: int) -> tuple[int, int]:
        """Return the first coordinate and the number of marks along a dimension of a given size."""
        first = self.origin[dim]
        return (0, size) if first is None else (first, self.marks.shape[dim])

    def single(self, dims: Sequence[int], shape: Shape) -> Region:
        """Return the same region with a mark of its own for each unit along some dimensions."""
        sizes, origin = list(self.marks.shape), list(self.origin)
        for dim in dims:
            if origin[dim] is None:
                sizes[dim], origin[dim] = shape[dim], 0
        return Region(np.broadcast_to(self.marks, sizes), tuple(origin))


def whole(rank: int) -> Region:
    """Return the region of all units of a tensor."""
    return Region(np.ones((1,) * rank, dtype=bool), (None,) * rank)


def any_along(marks: Marks, dims: Sequence[int], *, keep: bool = False) -> Marks:
    """Return marks in which some dimensions are gone, or of size 1: set where any was set along them."""
    return np.asarray(np.any(marks, axis=tuple(dims), keepdims=keep)) if dims else marks


def solid(marks: Marks) -> bool:
    """Return whether everything is marked; at once where one mark is repeated."""
    if not marks.size:
        return False
    if not any(stride for stride, size in zip(marks.strides, marks.shape, strict=True) if size > 1):
        return bool(marks.flat[0])
    return bool(marks.all())


def shifted(region: Region, dim: int, by: int) -> Region:
    """Return a region moved along one dimension, in which its units are marked one by one."""
    first = region.origin[dim]
    assert first is not None
    return Region(region.marks, (*region.origin[:dim], first + by, *region.origin[dim + 1 :]))


def trimmed(region: Region) -> Region | None:
    """Return a region without empty margins; None where nothing is marked."""
    marks, origin = region.marks, list(region.origin)
    if solid(marks):
        return region
    if not marks.any():
        return None
    for dim, first in enumerate(origin):
        if first is None:
            continue
        seen = np.flatnonzero(marks.any(axis=tuple([d for d in range(marks.ndim) if d != dim])))
        low, high = int(seen[0]), int(seen[-1]) + 1
        if (low, high) != (0, marks.shape[dim]):
            marks = marks[(*(slice(None),) * dim, slice(low, high))]
            origin[dim] = first + low
    return Region(marks, tuple(origin))


def clipped(region: Region, shape: Shape, dims: Sequence[int] | None = None) -> Region | None:
    """Return the part of a region that lies on the tensor, along all dimensions or some.

    Where everything is marked, those of these dimensions that are covered become whole again.
    """
    marks, origin = region.marks, list(region.origin)
    dims = range(len(shape)) if dims is None else dims
    for dim in dims:
        first = origin[dim]
        if first is not None and (first < 0 or first + marks.shape[dim] > shape[dim]):
            low, high = max(-first, 0), max(shape[dim] - first, 0)
            marks = marks[(*(slice(None),) * dim, slice(low, high))]
            origin[dim] = first + low
    kept = trimmed(Region(marks, tuple(origin)))
    if kept is None or not solid(kept.marks):
        return kept
    origin = list(kept.origin)
    covered = [dim for dim in dims if origin[dim] == 0 and kept.marks.shape[dim] == shape[dim]]
    sizes = tuple([1 if dim in covered else size for dim, size in enumerate(kept.marks.shape)])
    return Region(
        np.broadcast_to(np.True_, sizes),
        tuple([None if d in covered else first for d, first in enumerate(origin)]),
    )


def complete(region: Region, dims: Sequence[int], shape: Shape) -> Region | None:
    """Return the part of a region on the tensor, with a mark for every unit along some dimensions."""
    part = clipped(region, shape, dims)
    if part is None:
        return None
    part = part.single(dims, shape)
    pads = [(0, 0)] * len(shape)
    for dim in dims:
        first = part.origin[dim] or 0
        pads[dim] = (first, shape[dim] - first - part.marks.shape[dim])
    origin = tuple([0 if dim in dims else first for dim, first in enumerate(part.origin)])
    return Region(np.pad(part.marks, pads), origin)


def inside(region: Region, shape: Shape) -> bool:
    """Return whether no unit of a region is virtual."""
    return all(
        first is None or (first >= 0 and first + count <= size)
        for first, count, size in zip(region.origin, region.marks.shape, shape, strict=True)
    )


def united(left: Region, right: Region, shape: Shape) -> Region:
    """Return the units of either region of a tensor."""
    if left.origin == right.origin and left.marks.shape == right.marks.shape:
        if solid(left.marks):
            return left
        return Region(left.marks | right.marks, left.origin)
    dims = [d for d in range(len(shape)) if (left.origin[d], right.origin[d]) != (None, None)]
    left, right = left.single(dims, shape), right.single(dims, shape)
    spans = [(left.span(d, n), right.span(d, n)) for d, n in enumerate(shape)]
    firsts = [min(a, b) for (a, _), (b, _) in spans]
    ends = [max(a + n, b + m) for (a, n), (b, m) in spans]
    sizes = [e - f if d in dims else 1 for d, (f, e) in enumerate(zip(firsts, ends, strict=True))]
    marks = np.zeros(sizes, dtype=bool)
    for part in (left, right):
        place = tuple([
            slice((part.origin[d] or 0) - firsts[d], (part.origin[d] or 0) - firsts[d] + part.marks.shape[d])
            if d in dims
            else slice(None)
            for d in range(len(shape))
        ])  # fmt: skip
        marks[place] |= part.marks
    return Region(marks, tuple([firsts[d] if d in dims else None for d in range(len(shape))]))
