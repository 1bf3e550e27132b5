"""How shadows follow writes to units that index tables name: index_put, scatter and their kin."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cifar_report.analyzer.constants import table
from cifar_report.analyzer.field_index import corner
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.receptive_field import Lookup, Shadows, field_rule
from cifar_report.analyzer.shadow import EMPTY, FAR, Bounds, expand, full, regular
from cifar_report.analyzer.shadow_union import hull, union


@field_rule("index_put", "_unsafe_index_put", "_index_put_impl")
def _index_put(node: Node, shadows: Lookup) -> Shadows:
    value, indices, source = node.args[:3]
    add = bool(node.argument(3, "accumulate", False))
    tables = [None if index is None else table(index) for index in indices]
    used = [dim for dim, index in enumerate(indices) if index is not None]
    if any(tables[dim] is None for dim in used):
        return _put_anywhere(node, shadows, value, source, [indices[dim] for dim in used])
    key = tuple([slice(None) if index is None else index for index in tables])
    return _put(node, shadows, value, source, key, add)


@field_rule("index_copy", "index_add", "index_fill")
def _index_copy(node: Node, shadows: Lookup) -> Shadows:
    value, dim, index, source = node.args[:4]
    units = table(index)
    if not isinstance(source, Value):  # index_fill with a number
        source = None
    if units is None:
        return _put_anywhere(node, shadows, value, source, [index])
    key = (*(slice(None),) * (dim % len(value.shape)), units.reshape(-1))
    return _put(node, shadows, value, source, key, node.op == "index_add")


@field_rule("scatter", "scatter_add", "scatter_reduce")
def _scatter(node: Node, shadows: Lookup) -> Shadows:
    value, dim, index, source = node.args[:4]
    units = table(index)
    if not isinstance(source, Value):
        source = None
    if units is None:
        return _put_anywhere(node, shadows, value, source, [index])
    key = [np.asarray(grid) for grid in np.ogrid[tuple([slice(0, size) for size in index.shape])]]
    key[dim % len(value.shape)] = units
    return _put(node, shadows, value, source, tuple(key), node.op != "scatter", corner(index.shape, -1))


@field_rule("masked_scatter")
def _masked_scatter(node: Node, shadows: Lookup) -> Shadows:
    value, mask, source = node.args[:3]
    return _put_anywhere(node, shadows, value, source, [mask])


def _put(
    node: Node, shadows: Lookup, value: Value, source: Value | None, key: tuple[Any, ...], add: bool,
    part: tuple[slice, ...] = (),
) -> Shadows:  # fmt: skip
    """Return the shadows of a tensor after a source was written, or added, to the units of a key."""
    axes = len(shadows(node.live_inputs[0]))
    olds = shadows(value) if value.live else (EMPTY,) * axes
    news = shadows(source) if source is not None and source.live else (EMPTY,) * axes
    result = []
    for old, new in zip(olds, news, strict=True):
        shape = value.shape if source is None else source.shape
        sides: list[Bounds] = []
        for before, written, low in zip(
            expand(old, value.shape), expand(new, shape), (True, False), strict=True
        ):
            whole = np.broadcast_to(before, value.shape).copy()
            fresh = written if source is None else np.broadcast_to(written, shape)[part]
            if add:
                (np.minimum if low else np.maximum).at(whole, key, fresh)
            else:
                whole[key] = fresh if fresh.size > 1 else fresh.flat[0]
            sides.append(whole)
        lo, hi = (full(side, len(value.shape)) for side in sides)
        like = new if isinstance(old.lo, int) and old.lo >= FAR else old
        result.append(regular(lo, hi, like))
    return tuple(result)


def _put_anywhere(
    node: Node, shadows: Lookup, value: Value, source: Value | None, choices: Sequence[Value]
) -> Shadows:
    """Return the shadows where any unit may have got any of the source's."""
    out = value.shape
    result = []
    for axis in range(len(shadows(node.live_inputs[0]))):
        parts = [(shadows(value)[axis], out)] if value.live else []
        for other in [*([] if source is None else [source]), *choices]:
            if other.live:
                spread = hull(shadows(other)[axis], other.shape, range(len(other.shape)))
                parts.append((spread, (1,) * len(out)))
        result.append(union(parts, out, node.index))
    return tuple(result)
