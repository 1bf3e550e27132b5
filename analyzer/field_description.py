"""A value's shadows put into words that leave the analyzer: size, stride, start, and what is to blame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from cifar_report.analyzer.analysis import ReceptiveField
from cifar_report.analyzer.graph import Value
from cifar_report.analyzer.maker import maker
from cifar_report.analyzer.receptive_field import Fields, Shadows
from cifar_report.analyzer.shadow import FAR, Array, Shadow, Shape, along, constant_along, expand, full


def describe(
    value: Value, fields: Fields, layer_name: Callable[[int], str], op_name: Callable[[int], str]
) -> ReceptiveField:
    """Return a value's receptive field in words that leave the analyzer.

    Args:
        value: any value of the trace.
        fields: of that trace.
        layer_name: names the layer of a node, for a global field's cause.
        op_name: names a node's operator, for an unknown field's cause.
    """
    if not value.numel:
        return ReceptiveField(kind="unknown", cause="it is empty: no unit is left to see anything")
    shadows = fields.shadows.get(value.id)
    if shadows is None:
        blame = fields.unknown.get(value.id)
        cause = "it doesn't depend on the network's input" if blame is None else op_name(blame)
        return ReceptiveField(kind="unknown", cause=cause)
    key = id(shadows), value.shape
    known = fields.described.get(key)
    if known is None:
        known = fields.described[key] = _describe(shadows, value, fields, layer_name)
    return known


def _describe(
    shadows: Shadows, value: Value, fields: Fields, layer_name: Callable[[int], str]
) -> ReceptiveField:
    parts = [_axis(shadow, value.shape, size) for shadow, size in zip(shadows, fields.image, strict=True)]
    # Global is what sees everything on every axis that there is; the last one to become so is the cause.
    causes = [s.cause for s, size in zip(shadows, fields.image, strict=True) if size > 1]
    everywhere = [cause for cause in causes if cause is not None]
    cause = max(everywhere) if everywhere and len(everywhere) == len(causes) else None
    size, stride, start, uniform, visible = zip(*parts, strict=True) if parts else ((),) * 5
    if cause is None:
        return _field("local", size, stride, start, all(uniform), visible)
    return _field("global", size, stride, start, all(uniform), visible, layer_name(cause))


_field = maker(ReceptiveField)


_Axis = tuple[int, float, float, bool, int]
"""Along one axis: size, stride, start, whether it is uniform, what is visible."""


def _axis(shadow: Shadow, shape: Shape, image: int) -> _Axis:
    lo, hi = shadow.lo, shadow.hi
    if shadow.others:
        return _layered_axis(shadow, shape, image)
    if shadow.period == 1 and isinstance(lo, int) and isinstance(hi, int):
        if lo > hi:
            return 0, 0, 0, True, 0
        middle = 0 if shadow.dim is None else (shape[shadow.dim] // 2) * shadow.advance
        seen = min(hi + middle, image - 1) - max(lo + middle, 0) + 1
        return hi - lo + 1, shadow.advance, (lo + hi) / 2, True, max(seen, 0)
    if shadow.dim is not None:
        return _periodic_axis(shadow, shape, image)
    return _irregular_axis(shadow, shape, image)


def _periodic_axis(shadow: Shadow, shape: Shape, image: int) -> _Axis:
    """Describe the largest field over one period around the middle, and over channels."""
    dim = shadow.dim
    assert dim is not None
    rank = len(shape)
    if shadow.period == 1 and constant_along(shadow, dim):
        quick = _channels_axis(shadow, shape, image)
        if quick is not None:
            return quick
    # Phases of a pixel shuffle and holes of a transposed convolution repeat along other dimensions too.
    # Maps have their channels in front, or behind when height comes first.
    channels = 1 if dim > 1 else rank - 1
    others = [d for d in range(1, rank) if d not in (dim, channels)]
    lo, hi = _at_the_middle(full(shadow.lo, rank), full(shadow.hi, rank), others, True)
    sizes = np.maximum(hi - lo + 1, 0)
    largest = int(sizes.argmax())
    at = np.unravel_index(largest, sizes.shape)
    size = sizes.item(largest)
    period_index = int(at[dim])
    unit = (shape[dim] // 2) // shadow.period * shadow.advance
    low, high = int(lo[at]), int(hi[at])
    first = tuple([0 if d == dim else int(i) for d, i in enumerate(at)])
    first_low, first_high = int(lo[first]), int(hi[first])
    start = (first_low + first_high) / 2
    if first_low > first_high:
        start = (low + high) / 2 - period_index * shadow.advance / shadow.period
    stride = shadow.advance / shadow.period
    seen = min(high + unit, image - 1) - max(low + unit, 0) + 1
    return size, _whole(stride), start, sizes.item(sizes.argmin()) == size, max(seen, 0)


def _channels_axis(shadow: Shadow, shape: Shape, image: int) -> _Axis | None:
    """Describe the largest field where channels differ, and nothing else."""
    lo, hi = shadow.lo, shadow.hi
    if not isinstance(lo, int) and max(lo.shape) != lo.size:
        return None
    sizes = hi - lo
    assert isinstance(sizes, np.ndarray)
    smallest = sizes.item(sizes.argmin())
    if max(sizes.shape) != sizes.size or smallest < 0:
        return None
    at = sizes.argmax()
    low, high = [bounds if isinstance(bounds, int) else bounds.item(at) for bounds in (lo, hi)]
    unit = shape[shadow.dim or 0] // 2 * shadow.advance
    seen = min(high + unit, image - 1) - max(low + unit, 0) + 1
    return high - low + 1, shadow.advance, (low + high) / 2, smallest == high - low, max(seen, 0)


def _irregular_axis(shadow: Shadow, shape: Shape, image: int) -> _Axis:
    """Describe the unit in the middle; of units that look at the same place, the largest."""
    lo, hi = expand(shadow, shape)
    widths = hi - lo
    places = _places(lo, hi, widths)
    stride, line = float(shadow.advance), lo
    for dim in places:
        rank, middle = line.ndim, line.shape[dim] // 2
        if 1 < line.shape[dim] > middle + 1:
            step = line[along(rank, dim, middle + 1)] - line[along(rank, dim, middle)]
            step = np.abs(step[np.abs(step) < FAR // 2])
            stride = float(step.max()) if step.size else stride
        line = line[along(rank, dim, slice(middle, middle + 1))]
    low_bounds, high_bounds = _at_the_middle(lo, hi, places, int(widths.min()) < 0)
    sizes = high_bounds - low_bounds
    at = np.unravel_index(int(sizes.argmax()), sizes.shape)
    low, high = int(low_bounds[at]), int(high_bounds[at])
    if low > high:
        return 0, _whole(stride), 0.0, True, 0
    first_lo, first_hi = int(lo.flat[0]), int(hi.flat[0])
    if first_lo > first_hi:
        wide_lo, wide_hi = np.broadcast_arrays(lo, hi)
        first = int(np.argmax(wide_lo <= wide_hi))
        first_lo, first_hi = int(wide_lo.flat[first]), int(wide_hi.flat[first])
    seen = min(high, image - 1) - max(low, 0) + 1
    uniform = bool(widths.min() == widths.max())
    return high - low + 1, _whole(stride), (first_lo + first_hi) / 2, uniform, max(seen, 0)


def _places(lo: Array, hi: Array, widths: Array) -> list[int]:
    """Return the dimensions along which units look at different places, not at the same one as channels do.

    Their centres lie further apart than the largest of them is wide.
    """
    centres, widest = lo + hi, int(widths.max())
    return [
        dim
        for dim, size in enumerate(centres.shape)
        if size > 1 and int((centres.max(axis=dim) - centres.min(axis=dim)).max()) >= 2 * (widest + 1)
    ]


def _layered_axis(shadow: Shadow, shape: Shape, image: int) -> _Axis:
    """Describe the unit in the middle of a tensor whose units' bounds were never all computed."""
    ends = []
    for part in (replace(shadow, others=()), *shadow.others):
        for index in (0, None):
            lo, hi = expand(part, shape)
            for dim, size in enumerate(lo.shape):
                lo = np.take(lo, [size // 2 if index is None else index], axis=dim)
            for dim, size in enumerate(hi.shape):
                hi = np.take(hi, [size // 2 if index is None else index], axis=dim)
            ends.append((int(lo.flat[0]), int(hi.flat[0])))
    first, middle = ends[::2], ends[1::2]
    low, high = min(lo for lo, _ in middle), max(hi for _, hi in middle)
    start = (min(lo for lo, _ in first) + max(hi for _, hi in first)) / 2
    seen = min(high, image - 1) - max(low, 0) + 1
    return high - low + 1, shadow.advance, start, False, max(seen, 0)


def _at_the_middle(lo: Array, hi: Array, places: Sequence[int], several: bool) -> tuple[Array, Array]:
    """Return the bounds of the middle unit along some dimensions, or of a few around it."""
    if lo.shape != hi.shape:
        lo, hi = np.broadcast_arrays(lo, hi)
    for dim in places:
        size = lo.shape[dim]
        if size > 1:
            middle = size // 2
            near = slice(max(middle - 4, 0), middle + 5) if several else slice(middle, middle + 1)
            lo, hi = lo[along(lo.ndim, dim, near)], hi[along(hi.ndim, dim, near)]
    return lo, hi


def _whole(number: float) -> float:
    return int(number) if number == int(number) else number
