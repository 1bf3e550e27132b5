"""How a set of units is carried from an operator's output to its input, dimension by dimension.

That does where each dimension of the input depends on one dimension of the output at most (windows,
poolings, interpolations, permutations, most else): by `Taps`, a sliding window, or by a `Table`, which
says for each output which inputs it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cifar_report.analyzer.density_region import Marks, Region, any_along, solid, trimmed
from cifar_report.analyzer.shadow import Shape


@dataclass(frozen=True, slots=True)
class Taps:
    """An input dimension of which output j takes first + j * step + t * gap, for t in 0 .. count - 1."""

    dim: int | None
    """The output's dimension; None where every output takes the same ones."""
    first: int
    count: int = 1
    step: int = 1
    gap: int = 1


@dataclass(frozen=True, slots=True)
class Table:
    """An input dimension of which it is written down what each output takes."""

    dim: int
    sources: Callable[[int, int], tuple[int, Marks]]
    """Given the first output and their number: the first input, and marks (outputs, inputs)."""


Way = Taps | Table


def carried(region: Region, ways: Sequence[Way], out: Shape, shape: Shape) -> Region | None:
    """Return the units of an operator's input that a region of its output depends on.

    Args:
        region: of the output.
        ways: one per dimension of the input; no two name the same dimension of the output.
        out: the output's shape.
        shape: the input's shape.

    Returns:
        None when it depends on none.
    """
    if solid(region.marks):
        return _box(region, ways, out, shape)
    used = [way.dim for way in ways if way.dim is not None]
    marks = any_along(region.marks, [dim for dim in range(len(out)) if dim not in used])
    order = sorted(used)
    marks = marks.transpose([order.index(dim) for dim in used])
    for dim, way in enumerate(ways):
        if way.dim is None:
            marks = np.expand_dims(marks, dim)
    origin: list[int | None] = []
    for dim, way in enumerate(ways):
        marks, first = _along(marks, dim, way, region, out, shape[dim])
        origin.append(first)
    return trimmed(Region(marks, tuple(origin)))


def _box(region: Region, ways: Sequence[Way], out: Shape, shape: Shape) -> Region | None:
    """Carry a region in which everything is marked: dimension by dimension, then all together."""
    lines, origin = [], []
    for dim, way in enumerate(ways):
        count = 1 if way.dim is None else region.marks.shape[way.dim]
        line, first = _along(np.ones(count, dtype=bool), 0, way, region, out, shape[dim])
        lines.append(line)
        origin.append(first)
    if all(line.all() for line in lines):
        marks: Marks = np.broadcast_to(np.True_, [line.size for line in lines])
    else:
        marks = np.ones((1,) * len(lines), dtype=bool)
        for dim, line in enumerate(lines):
            marks = marks & line.reshape([-1 if other == dim else 1 for other in range(len(lines))])
    return trimmed(Region(marks, tuple(origin)))


def _along(
    marks: Marks, axis: int, way: Way, region: Region, out: Shape, size: int
) -> tuple[Marks, int | None]:
    """Return marks after one of their axes went its way, and the first coordinate; None for a whole one."""
    if way.dim is None:
        if way.first <= 0 and way.first + way.count >= size:
            return marks, None
        return np.repeat(marks, way.count, axis=axis), way.first
    origin = region.origin[way.dim]
    first, count = region.span(way.dim, out[way.dim])
    if isinstance(way, Table):
        low, table = way.sources(first, count)
        if origin is None and low == 0 and table.shape[1] == size and table.any(0).all():
            return marks, None  # all of it is still wanted
        return _tabled(marks, axis, table), low
    if origin is None and way.first == 0 and way.step == way.count == 1 and out[way.dim] == size:
        return marks, None
    return _slid(marks, axis, count, way), first * way.step + way.first


def _slid(marks: Marks, dim: int, count: int, way: Taps) -> Marks:
    """Return marks along one dimension after a window slid back over them."""
    lines = np.moveaxis(marks, dim, 0)
    apart = np.zeros((way.step * (count - 1) + way.gap * (way.count - 1) + 1, *lines.shape[1:]), dtype=bool)
    apart[: way.step * (count - 1) + 1 : way.step] = lines
    have = 1
    while have < way.count:  # so many taps are in; shifted by as many, they are twice as many
        more = min(have, way.count - have)
        apart[more * way.gap :] |= apart[: -more * way.gap]
        have += more
    return np.moveaxis(apart, 0, dim)


def _tabled(marks: Marks, dim: int, table: Marks) -> Marks:
    """Return marks along one dimension by what each output takes: (outputs, inputs)."""
    lines = np.moveaxis(marks, dim, -1)
    if lines.shape[-1] == 1:  # the whole dimension
        found = lines & table.any(axis=0)
    else:
        found = lines.astype(np.float32) @ table.astype(np.float32) > 0
    return np.moveaxis(found, -1, dim)
