"""Interval shadows: for every unit of a tensor, the interval of input pixels that it sees.

One `Shadow` describes one tensor along one axis of the input image. Most are regular: the interval
moves by the same number of pixels from unit to unit along one dimension of the tensor, so a few
integers describe all units, and the padding around the map as well:

    interval of unit i along `dim`:  [lo + advance * i, hi + advance * i]          (period 1)

After a transposed convolution or an interpolation the pattern repeats every `period` units, and `lo`
and `hi` are arrays of that size along `dim`; after a concatenation they vary with the channel. Where
nothing repeats (a roll, tokens), `dim` is None and the arrays hold every unit's own bounds.

Arrays have as many dimensions as the tensor, of size 1 along those in which nothing varies. An empty
interval, of a unit that doesn't depend on the image, has `lo > hi`.

Receptive fields after Araujo, Norris and Sim, Distill 2019 (doi 10.23915/distill.00021).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import gcd

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]
Bounds = int | Array
Shape = tuple[int, ...]

FAR = 1 << 40
"""Beyond any pixel: the bounds of an empty interval are (FAR, -FAR)."""


@dataclass(frozen=True, slots=True, eq=False)
class Shadow:
    """The intervals of one tensor along one input axis; see the module's docstring."""

    lo: Bounds
    hi: Bounds
    dim: int | None = None
    """The tensor's dimension along which the interval moves; None when it doesn't, or irregularly."""
    advance: int = 0
    """Pixels that the interval moves in one period. Kept as a memory when `dim` is None."""
    period: int = 1
    cause: int | None = None
    """The node after which every unit of a map saw the whole image."""

    @property
    def plain(self) -> bool:
        """True when two integers and the advance say it all."""
        return self.period == 1 and isinstance(self.lo, int) and isinstance(self.hi, int)

    @property
    def pattern(self) -> tuple[int | None, int, int]:
        """What two shadows must share so that their bounds can be compared as they are."""
        return self.dim, self.advance, self.period

    def equals(self, other: Shadow) -> bool:
        """Return whether both are plain and the same. Arrays are not worth comparing."""
        if self is other:
            return True
        plain = self.plain and other.plain
        return plain and (self.lo, self.hi, self.pattern) == (other.lo, other.hi, other.pattern)


EMPTY = Shadow(FAR, -FAR)


def pixels(dim: int) -> Shadow:
    """Return the input's own shadow: unit i along `dim` sees pixel i."""
    return Shadow(0, 0, dim, 1)


def full(bounds: Bounds, rank: int) -> Array:
    """Return bounds as an array with a tensor's number of dimensions."""
    if isinstance(bounds, int):
        return np.full((1,) * rank, bounds, dtype=np.int64)
    return bounds


def emptied(shadow: Shadow, holes: NDArray[np.bool_]) -> Shadow:
    """Return a shadow in which some units, marked in an array of the tensor's rank, see nothing."""
    lo, hi = (full(bounds, holes.ndim) for bounds in (shadow.lo, shadow.hi))
    return replace(shadow, lo=np.where(holes, FAR, lo), hi=np.where(holes, -FAR, hi))


def expand(shadow: Shadow, shape: Shape) -> tuple[Array, Array]:
    """Return every unit's bounds, as arrays that broadcast to the tensor's shape."""
    lo, hi = full(shadow.lo, len(shape)), full(shadow.hi, len(shape))
    if shadow.dim is None:
        return lo, hi
    index = np.arange(shape[shadow.dim])
    steps = (index // shadow.period) * shadow.advance
    along = [1] * len(shape)
    along[shadow.dim] = -1
    steps = steps.reshape(along)
    if lo.shape[shadow.dim] > 1:
        lo = np.take(lo, index % shadow.period, axis=shadow.dim)
    if hi.shape[shadow.dim] > 1:
        hi = np.take(hi, index % shadow.period, axis=shadow.dim)
    return _keep_empty(lo + steps, hi + steps)


def _keep_empty(lo: Array, hi: Array) -> tuple[Array, Array]:
    """Return bounds with empty intervals set back to (FAR, -FAR), wherever arithmetic moved them."""
    if lo.max(initial=-FAR) < FAR // 2:
        return lo, hi
    empty = lo > hi
    return np.where(empty, FAR, lo), np.where(empty, -FAR, hi)


def regular(lo: Array, hi: Array, template: Shadow = EMPTY) -> Shadow:
    """Return the simplest shadow that holds for given bounds.

    Args:
        lo: lower bounds, of a tensor's rank.
        hi: upper bounds, of a tensor's rank.
        template: supplies the advance to remember and the cause.
    """
    lo, hi = _squeeze_constant(lo), _squeeze_constant(hi)
    if lo.size == hi.size == 1:
        return Shadow(int(lo.flat[0]), int(hi.flat[0]), None, template.advance, 1, template.cause)
    best = None
    for dim, (size, other) in enumerate(zip(lo.shape, hi.shape, strict=True)):
        for period in range(1, min(size // 2, _LONGEST_PERIOD) + 1 if size == other else 1):
            advance = _advance(lo, hi, dim, period)
            if advance is not None:
                first_lo, first_hi = (
                    _squeeze_constant(np.take(b, range(period), axis=dim)) for b in (lo, hi)
                )
                rest = first_lo.size + first_hi.size
                if best is None or rest <= best[0]:
                    best = (
                        rest,
                        Shadow(_plain(first_lo), _plain(first_hi), dim, advance, period, template.cause),
                    )
                break
    if best is not None:
        return best[1]
    return Shadow(_plain(lo), _plain(hi), None, template.advance, 1, template.cause)


_LONGEST_PERIOD = 8
"""Pixel shuffles and interpolations by up to this factor are recognised as periodic."""


def _advance(lo: Array, hi: Array, dim: int, period: int) -> int | None:
    """Return by how much both bounds move in one period all along a dimension, if they do.

    Units that see nothing go along with any advance, as long as they repeat.
    """
    size = lo.shape[dim]
    steps = []
    for bounds in (lo, hi):
        later, earlier = (
            np.take(bounds, np.arange(*r), axis=dim) for r in ((period, size), (size - period,))
        )
        steps.append(later - earlier)
    low, high = steps
    if lo.max() < FAR // 2:
        advance = int(low.flat[0])
        return advance if advance > 0 and (low == advance).all() and (high == advance).all() else None
    empty = lo > hi
    first, second = (np.take(empty, np.arange(*r), axis=dim) for r in ((size - period,), (period, size)))
    seeing = np.broadcast_to(~first, np.broadcast_shapes(low.shape, high.shape))
    if (first != second).any() or not seeing.any():
        return None
    low, high = (np.broadcast_to(step, seeing.shape)[seeing] for step in steps)
    advance = int(low[0])
    return advance if advance > 0 and (low == advance).all() and (high == advance).all() else None


def _squeeze_constant(bounds: Array) -> Array:
    """Return bounds with size 1 along every dimension in which they don't vary."""
    for dim, size in enumerate(bounds.shape):
        if size > 1:
            first = np.take(bounds, [0], axis=dim)
            if (bounds == first).all():
                bounds = first
    return bounds


def _plain(bounds: Array) -> Bounds:
    return int(bounds.flat[0]) if bounds.size == 1 else bounds


def union(parts: Sequence[tuple[Shadow, Shape]], out_shape: Shape, node: int) -> Shadow:
    """Return the hull of operands that are combined unit by unit, with broadcasting.

    Args:
        parts: the operands that depend on the image, with their shapes.
        out_shape: the shape of the result.
        node: to blame when an operand that doesn't move over the image joins one that does.
    """
    rank = len(out_shape)
    aligned = [shift_rank(shadow, len(shape), rank) for shadow, shape in parts]
    first = aligned[0]
    if all(shadow.equals(first) for shadow in aligned[1:]):
        return first
    if all(s.pattern == first.pattern for s in aligned) and _comparable(aligned, parts, out_shape):
        cause = next((s.cause for s in aligned if s.cause is not None), None)
        lo, hi = first.lo, first.hi
        for shadow in aligned[1:]:
            lo = min(lo, shadow.lo) if _ints(lo, shadow.lo) else np.minimum(lo, shadow.lo)
            hi = max(hi, shadow.hi) if _ints(hi, shadow.hi) else np.maximum(hi, shadow.hi)
        if first.dim is None and not _ints(lo, hi):
            return replace(regular(full(lo, rank), full(hi, rank), first), cause=cause)
        return replace(first, lo=lo, hi=hi, cause=cause)
    shapes = [(1,) * (rank - len(shape)) + shape for _, shape in parts]
    bounds = [expand(shadow, shape) for shadow, shape in zip(aligned, shapes, strict=True)]
    lo_array, hi_array = bounds[0]
    for lo_other, hi_other in bounds[1:]:
        lo_array, hi_array = np.minimum(lo_array, lo_other), np.maximum(hi_array, hi_other)
    moving = max(aligned, key=lambda s: (s.dim is not None, s.advance))
    result = regular(lo_array, hi_array, moving)
    causes = [s.cause for s in aligned if s.cause is not None]
    if causes:
        return replace(result, cause=causes[0])
    # A pooled value that is spread over a map again: from here every unit sees everything.
    still = result.dim is None and result.plain and any(s.dim is not None for s in aligned)
    return replace(result, cause=node) if still else result


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
    return replace(shadow, lo=lo, hi=hi, dim=None if shadow.dim is None else shadow.dim + extra)


def hull(shadow: Shadow, shape: Shape, dims: Sequence[int]) -> Shadow:
    """Return the shadow after mixing all units along some dimensions, which become size 1."""
    lo, hi, dim = shadow.lo, shadow.hi, shadow.dim
    advance = shadow.advance
    if dim in dims and dim is not None:
        size = shape[dim]
        if shadow.plain:
            assert isinstance(hi, int)
            hi, advance, dim = hi + advance * (size - 1), advance * size, None
        else:
            lo, hi = expand(shadow, shape)
            advance, dim = advance * size // shadow.period, None
    if not isinstance(lo, int):
        lo = lo.min(axis=tuple(d for d in dims if lo.shape[d] > 1), keepdims=True)
    if not isinstance(hi, int):
        hi = hi.max(axis=tuple(d for d in dims if hi.shape[d] > 1), keepdims=True)
    lo, hi = (b if isinstance(b, int) else _plain(b) for b in (lo, hi))
    return Shadow(lo, hi, dim, advance, shadow.period if dim is not None else 1, shadow.cause)


def window(
    shadow: Shadow, shape: Shape, dim: int, out: int, kernel: int, stride: int, padding: int, dilation: int
) -> Shadow:
    """Return the shadow after a sliding window along one dimension: convolution, pool, unfold.

    Unit j sees the units j * stride - padding + t * dilation for t in 0 .. kernel - 1. Those outside
    the map are virtual: the pattern goes on, so the size is the theoretical, unclipped one.
    """
    if dim == shadow.dim and shadow.plain:
        reach = (kernel - 1) * dilation - padding
        return Shadow(
            shadow.lo - padding * shadow.advance,
            shadow.hi + reach * shadow.advance,
            dim,
            shadow.advance * stride,
            1,
            shadow.cause,
        )
    if dim != shadow.dim and shadow.plain:
        return shadow
    units = np.arange(kernel)[None, :] * dilation - padding
    return resample(shadow, shape, dim, out, units, stride)


def transposed_window(
    shadow: Shadow, shape: Shape, dim: int, out: int, kernel: int, stride: int, padding: int, dilation: int
) -> Shadow:
    """Return the shadow after a transposed convolution along one dimension.

    Unit j gets the units i for which j = i * stride - padding + t * dilation has a t in 0 .. kernel - 1.
    A unit that gets none (a kernel smaller than its stride) sees nothing.
    """
    sources = np.arange(stride)[:, None] + padding - (np.arange(kernel) * dilation)[None, :]
    units = np.where(sources % stride == 0, sources // stride, NO_UNIT)
    return resample(shadow, shape, dim, out, units, 1)


NO_UNIT = FAR
"""In a table of units: a place that stays empty."""


def resample(shadow: Shadow, shape: Shape, dim: int, out: int, units: Array, step: int) -> Shadow:
    """Return the shadow after an operator whose units see given units along one dimension.

    Args:
        shadow: of the operator's input.
        shape: of the operator's input.
        dim: the dimension.
        out: the output's size along it.
        units: (J, T) what outputs 0 .. J - 1 see, `NO_UNIT` where it is fewer than T.
        step: outputs J .. 2 J - 1 see the same units, this much further on, and so forth.
    """
    if dim != shadow.dim:
        if all(isinstance(b, int) or b.shape[dim] == 1 for b in (shadow.lo, shadow.hi)):
            return shadow
        repeats = -(-out // len(units))
        every = _repeat(units, step, repeats)[:out]
        lo, hi = (_gather_edges(full(b, len(shape)), every, dim, low) for b, low in _both(shadow))
        lo, hi = _keep_empty(lo, hi)
        if shadow.dim is None:
            return regular(lo, hi, shadow)
        return replace(shadow, lo=_plain(_squeeze_constant(lo)), hi=_plain(_squeeze_constant(hi)))
    repeats = shadow.period // gcd(shadow.period, step)
    every = _repeat(units, step, repeats)
    lo, hi = (_gather(full(b, len(shape)), every, dim, low, shadow) for b, low in _both(shadow))
    lo, hi = _keep_empty(lo, hi)
    return _compact(shadow, lo, hi, dim, shadow.advance * (step * repeats) // shadow.period, len(every))


def _both(shadow: Shadow) -> tuple[tuple[Bounds, bool], tuple[Bounds, bool]]:
    return (shadow.lo, True), (shadow.hi, False)


def _repeat(units: Array, step: int, repeats: int) -> Array:
    """Return a table of units over several periods, (repeats * J, T)."""
    if repeats == 1:
        return units
    shifts = np.arange(repeats)[:, None, None] * step
    return np.where(units == NO_UNIT, NO_UNIT, units + shifts).reshape(-1, units.shape[1])


def _reduce(taken: Array, units: Array, dim: int, low: bool) -> Array:
    """Return the hull over the table's second axis, which stands at `dim + 1`."""
    along = [1] * taken.ndim
    along[dim], along[dim + 1] = units.shape
    nothing = (units == NO_UNIT).reshape(along)
    hull: Array = (
        np.where(nothing, FAR, taken).min(axis=dim + 1)
        if low
        else np.where(nothing, -FAR, taken).max(axis=dim + 1)
    )
    return hull


def _gather(bounds: Array, units: Array, dim: int, low: bool, shadow: Shadow) -> Array:
    """Return one bound of the hull over units (J, T), where the pattern is periodic."""
    steps = np.where(units == NO_UNIT, 0, (units // shadow.period) * shadow.advance)
    index = units % shadow.period if bounds.shape[dim] > 1 else np.zeros_like(units)
    taken = np.take(bounds, np.where(units == NO_UNIT, 0, index), axis=dim)
    along = [1] * taken.ndim
    along[dim], along[dim + 1] = units.shape
    return _reduce(taken + steps.reshape(along), units, dim, low)


def _gather_edges(bounds: Array, units: Array, dim: int, low: bool) -> Array:
    """Return the same where bounds differ irregularly: edges go on as their last step did."""
    if bounds.shape[dim] == 1:
        return bounds
    last = bounds.shape[dim] - 1
    taken = np.take(bounds, np.clip(units, 0, last), axis=dim)
    along = [1] * taken.ndim
    along[dim], along[dim + 1] = units.shape
    before = np.minimum(units, 0).reshape(along)
    behind = np.maximum(np.where(units == NO_UNIT, 0, units) - last, 0).reshape(along)
    first_step, last_step = (np.expand_dims(_step(bounds, dim, index), dim + 1) for index in (0, last - 1))
    return _reduce(taken + before * first_step + behind * last_step, units, dim, low)


def _step(bounds: Array, dim: int, index: int) -> Array:
    """Return how far bounds move from one unit to the next, 0 where one of them is empty."""
    step = np.take(bounds, [index + 1], axis=dim) - np.take(bounds, [index], axis=dim)
    return np.where(np.abs(step) < FAR // 2, step, 0)


def _compact(shadow: Shadow, lo: Array, hi: Array, dim: int, advance: int, period: int) -> Shadow:
    """Return a periodic shadow, with period 1 where the pattern allows it."""
    if period > 1 and advance % period == 0:
        along = [1] * lo.ndim
        along[dim] = period
        ramp = (np.arange(period) * (advance // period)).reshape(along)
        flat_lo, flat_hi = _squeeze_constant(lo - ramp), _squeeze_constant(hi - ramp)
        if flat_lo.shape[dim] == flat_hi.shape[dim] == 1:
            lo, hi, advance, period = flat_lo, flat_hi, advance // period, 1
    return Shadow(_plain(lo), _plain(hi), dim, advance, period, shadow.cause)
