"""What an operator's output depends on, read off the rules of the receptive field.

A rule tells for every unit of the output the interval of pixels it sees, given what the input's units
see. Let the input's units see their own coordinate, dimension by dimension, and the rule tells which box
of the input every output takes. That is exact for operators that take boxes: single units, runs of
them, whole dimensions. Those that don't are named here, and stay unknown.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cifar_report.analyzer.constants import table
from cifar_report.analyzer.density_carry import Table, Taps, Way, carried
from cifar_report.analyzer.density_region import Marks, Region, clipped, trimmed
from cifar_report.analyzer.density_rules import Wanted, taken
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.receptive_field import RULES, Lookup, NoRule, Shadows
from cifar_report.analyzer.shadow import EMPTY, Shadow, Shape, expand, full, pixels

_NO_BOXES = frozenset({
    "index_add", "scatter_add", "scatter_reduce", "renorm", "alias_write",
})  # fmt: skip
"""What their outputs take isn't a box of units."""


def by_field_rule(node: Node, out: Value, region: Region, nodes: Sequence[Node]) -> Wanted:
    """Return the units of every input that some units of an output depend on.

    Raises:
        NoRule: there is no rule, or what outputs take isn't a box.
    """
    rule = RULES.get(node.op)
    values = list(dict.fromkeys(node.live_inputs))
    if rule is None or not _takes_boxes(node, values):
        raise NoRule
    wanted: Wanted = []
    for value in values:
        rank = len(value.shape)
        known: dict[int, Shadows] = {other.id: (EMPTY,) * rank for other in values}
        known[value.id] = tuple([pixels(dim) for dim in range(rank)])
        result = rule(node, Lookup(known, nodes))
        shadows = result[node.outputs.index(out)] if isinstance(result, list) else result
        if any(shadow.others for shadow in shadows):
            raise NoRule
        if not any(shadow.sees_nothing for shadow in shadows):
            wanted.append((value, _taken_by(region, shadows, out.shape, value.shape)))
    return wanted


def _takes_boxes(node: Node, values: Sequence[Value]) -> bool:
    if node.op in _NO_BOXES or (node.op.startswith("index_put") and node.argument(3, "accumulate", False)):
        return False
    if node.op == "scaled_dot_product_attention":
        mask = node.argument(3, "attn_mask")
        seen = table(mask) if isinstance(mask, Value) and not mask.live else None
        return seen is None or bool((seen if seen.dtype.kind == "b" else seen > -np.inf).all())
    return len(values) == len(node.live_inputs)  # a product of a tensor with itself mixes two boxes


def _taken_by(region: Region, shadows: Shadows, out: Shape, shape: Shape) -> Region | None:
    along = [_varies_along(shadow) for shadow in shadows]
    if all(len(dims) <= 1 for dims in along) and len(set().union(*along)) == sum(map(len, along)):
        ways = [_way(s, d, out, n) for s, d, n in zip(shadows, along, shape, strict=True)]
        return carried(region, ways, out, shape)
    return _unit_by_unit(region, shadows, out, shape)


def _varies_along(shadow: Shadow) -> set[int]:
    """Return the output's dimensions along which other units are taken."""
    dims = set() if shadow.dim is None else {shadow.dim}
    for bounds in (shadow.lo, shadow.hi):
        if not isinstance(bounds, int):
            dims.update(dim for dim, size in enumerate(bounds.shape) if size > 1)
    return dims


def _way(shadow: Shadow, dims: set[int], out: Shape, size: int) -> Way:
    lo, hi = shadow.lo, shadow.hi
    if shadow.plain:
        assert isinstance(lo, int)
        assert isinstance(hi, int)
        if shadow.dim is None or shadow.advance > 0:
            return Taps(shadow.dim, lo, hi - lo + 1, shadow.advance)
    if not dims:
        low, high = int(np.max(lo)), int(np.min(hi))
        return Taps(None, low, high - low + 1)
    (dim,) = dims

    def sources(first: int, count: int) -> tuple[int, Marks]:
        outputs = np.arange(first, first + count)
        sides = [_line(full(bounds, len(out)), dim) for bounds in (lo, hi)]
        if shadow.dim is None:
            known = (outputs >= 0) & (outputs < out[dim])
            low, high = (side[np.clip(outputs, 0, len(side) - 1)] for side in sides)
            return taken(low, np.where(known, high, low - 1))
        steps = outputs // shadow.period * shadow.advance
        low, high = (side[outputs % shadow.period % len(side)] for side in sides)
        return taken(low + steps, high + steps)

    return Table(dim, sources)


def _line(bounds: np.ndarray, dim: int) -> np.ndarray:
    """Return bounds that vary along one dimension only, as an array of one dimension."""
    return np.moveaxis(bounds, dim, 0).reshape(bounds.shape[dim])


def _unit_by_unit(region: Region, shadows: Shadows, out: Shape, shape: Shape) -> Region | None:
    """Return what a region takes where the dimensions of the input don't come from one each."""
    known = clipped(region, out)
    if known is None:
        return None
    sides = [expand(shadow, out) for shadow in shadows]
    vary = {d for lo, hi in sides for b in (lo, hi) for d, n in enumerate(b.shape) if n > 1}
    known = known.single(sorted(vary), out)
    units = np.nonzero(known.marks)
    places = [index + (known.origin[dim] or 0) for dim, index in enumerate(units)]
    low, high = ([_at(side, places) for side in pair] for pair in zip(*sides, strict=True))
    seeing = np.logical_and.reduce([a <= b for a, b in zip(low, high, strict=True)])
    entire = [bool((a[seeing] <= 0).all() and (b[seeing] >= n - 1).all())
              for a, b, n in zip(low, high, shape, strict=True)]  # fmt: skip
    low = [np.clip(np.where(e, 0, a[seeing]), 0, n - 1) for a, e, n in zip(low, entire, shape, strict=True)]
    high = [np.clip(np.where(e, 0, b[seeing]), 0, n - 1) for b, e, n in zip(high, entire, shape, strict=True)]
    marks = _painted(low, high, [1 if e else n for e, n in zip(entire, shape, strict=True)])
    origin = tuple([None if e else 0 for e in entire])
    return trimmed(Region(marks, origin))


def _at(side: np.ndarray, places: Sequence[np.ndarray]) -> np.ndarray:
    """Return bounds, spread over the tensor where they vary, at some places."""
    index = tuple([p if size > 1 else np.zeros_like(p) for p, size in zip(places, side.shape, strict=True)])
    found: np.ndarray = side[index]
    return found


def _painted(low: list[np.ndarray], high: list[np.ndarray], sizes: list[int]) -> Marks:
    """Return marks on all boxes: corners counted up and down, then summed along each dimension."""
    if all((a == b).all() for a, b in zip(low, high, strict=True)):
        marks = np.zeros(sizes, dtype=bool)
        marks[tuple(low)] = True
        return marks
    counts = np.zeros([size + 1 for size in sizes], dtype=np.int64)
    for corner in np.ndindex(*(2,) * len(sizes)):
        at = tuple([b + 1 if side else a for a, b, side in zip(low, high, corner, strict=True)])
        np.add.at(counts, at, -1 if sum(corner) % 2 else 1)
    for dim in range(len(sizes)):
        counts = counts.cumsum(axis=dim)
    return counts[tuple([slice(0, size) for size in sizes])] > 0
