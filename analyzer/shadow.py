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

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.int64]
Bounds = int | Array
Shape = tuple[int, ...]

FAR = 1 << 40
"""Beyond any pixel: the bounds of an empty interval are (FAR, -FAR)."""


@dataclass(slots=True, eq=False)
class Shadow:
    """The intervals of one tensor along one input axis; see the module's docstring.

    Nobody changes one, because tensors share them. It isn't frozen because one is made for every
    operator and axis, and making a frozen one takes four times as long.
    """

    lo: Bounds
    hi: Bounds
    dim: int | None = None
    """The tensor's dimension along which the interval moves; None when it doesn't, or irregularly."""
    advance: int = 0
    """Pixels that the interval moves in one period. Kept as a memory when `dim` is None."""
    period: int = 1
    cause: int | None = None
    """The node after which every unit of a map saw the whole image."""
    others: tuple[Shadow, ...] = ()
    """More shadows, whose hull with this one is meant, where bringing them together would take an array
    as large as a matrix of attention scores. No rule gets such a shadow: each of them goes through alone."""

    @property
    def plain(self) -> bool:
        """True when two integers and the advance say it all."""
        return self.period == 1 and isinstance(self.lo, int) and isinstance(self.hi, int)

    @property
    def pattern(self) -> tuple[int | None, int, int]:
        """What two shadows must share so that their bounds can be compared as they are."""
        return self.dim, self.advance, self.period

    @property
    def sees_nothing(self) -> bool:
        """True when no unit depends on the image."""
        return isinstance(self.lo, int) and self.lo == FAR

    def equals(self, other: Shadow) -> bool:
        """Return whether both are plain and the same. Arrays are not worth comparing."""
        if self is other:
            return True
        alike = self.dim == other.dim and self.advance == other.advance
        return alike and self.plain and other.plain and self.lo == other.lo and self.hi == other.hi


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
    if shadow.dim is None or holes.shape[shadow.dim] == 1:
        lo, hi = (full(bounds, holes.ndim) for bounds in (shadow.lo, shadow.hi))
        return replace(shadow, lo=np.where(holes, FAR, lo), hi=np.where(holes, -FAR, hi))
    lo, hi = expand(shadow, holes.shape)
    return regular(np.where(holes, FAR, lo), np.where(holes, -FAR, hi), shadow)


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
    return keep_empty(lo + steps, hi + steps)


def keep_empty(lo: Array, hi: Array) -> tuple[Array, Array]:
    """Return bounds with empty intervals set back to (FAR, -FAR), wherever arithmetic moved them."""
    if lo.max(initial=-FAR) < FAR // 2:
        return lo, hi
    empty = lo > hi
    return np.where(empty, FAR, lo), np.where(empty, -FAR, hi)


def constant_along(shadow: Shadow, dim: int) -> bool:
    """Return whether nothing varies along a dimension in which the interval doesn't move."""
    lo, hi = shadow.lo, shadow.hi
    return (isinstance(lo, int) or lo.shape[dim] == 1) and (isinstance(hi, int) or hi.shape[dim] == 1)


def along(rank: int, dim: int, index: int | slice = 0) -> tuple[int | slice, ...]:
    """Return an index that picks something along one dimension, and everything along the others."""
    return (*(slice(None),) * dim, index, *(slice(None),) * (rank - dim - 1))


def plain_bounds(bounds: Array) -> Bounds:
    """Return an integer in place of an array of one."""
    return int(bounds.flat[0]) if bounds.size == 1 else bounds


def squeezed(bounds: Array) -> Array:
    """Return bounds with size 1 along every dimension in which they don't vary."""
    for dim, size in enumerate(bounds.shape):
        if size > 1:
            line = bounds if size == bounds.size else _line(bounds, dim)
            if line.item(0) == line.item(1) == line.item(size - 1):
                first = bounds[along(bounds.ndim, dim, slice(0, 1))]
                if (bounds == first).all():
                    bounds = first
    return bounds


def _line(bounds: Array, dim: int) -> Array:
    """Return the bounds of the first units along a dimension."""
    index: tuple[int | slice, ...] = (*(0,) * dim, slice(None), *(0,) * (bounds.ndim - dim - 1))
    line: Array = bounds[index]
    return line


_LONGEST_PERIOD = 32
"""Pixel shuffles and interpolations by up to this factor are recognised as periodic."""


def regular(lo: Array, hi: Array, template: Shadow = EMPTY) -> Shadow:
    """Return the simplest shadow that holds for given bounds.

    Args:
        lo: lower bounds, of a tensor's rank.
        hi: upper bounds, of a tensor's rank.
        template: supplies the advance to remember and the cause.
    """
    lo, hi = squeezed(lo), squeezed(hi)
    best, rest = None, 0
    for dim, (size, other) in enumerate(zip(lo.shape, hi.shape, strict=True)):
        if size != other or size == 1:
            continue
        found = _pattern(lo, hi, dim)
        if found is None:
            continue
        period, advance = found
        one_period = along(lo.ndim, dim, slice(0, period))
        first_lo, first_hi = squeezed(lo[one_period]), squeezed(hi[one_period])
        if best is None or first_lo.size + first_hi.size <= rest:
            rest = first_lo.size + first_hi.size
            best = Shadow(
                plain_bounds(first_lo), plain_bounds(first_hi), dim, advance, period, template.cause
            )
    if best is not None:
        return best
    return Shadow(plain_bounds(lo), plain_bounds(hi), None, template.advance, 1, template.cause)


def _pattern(lo: Array, hi: Array, dim: int) -> tuple[int, int] | None:
    """Return the shortest period and its advance with which both bounds move along a dimension."""
    size = lo.shape[dim]
    # The first few units of one line tell in microseconds that nearly nothing is a pattern.
    low, high = (_line(bounds, dim)[: 2 * _LONGEST_PERIOD].tolist() for bounds in (lo, hi))
    holes = max(low) >= FAR // 2
    steps = [(b - a, d - c) for a, b, c, d in zip(low, low[1:], high, high[1:], strict=False)]
    for period in range(1, min(size // 2, _LONGEST_PERIOD) + 1):
        if (
            _repeats(low, high, period)
            if holes
            else low[period] > low[0] and steps[period:] == steps[:-period]
        ):
            advance = _advance(lo, hi, dim, period)
            if advance is not None:
                return period, advance
    return None


def _repeats(low: list[int], high: list[int], period: int) -> bool:
    """Return whether the bounds of a line, in which some units see nothing, may repeat."""
    advance = None
    for index, later in zip(range(len(low)), range(period, len(low)), strict=False):
        if low[index] > high[index] or low[later] > high[later]:
            if low[index] <= high[index] or low[later] <= high[later]:
                return False
            continue
        step = low[later] - low[index]
        if step <= 0 or high[later] - high[index] != step or advance not in (None, step):
            return False
        advance = step
    return True


def _advance(lo: Array, hi: Array, dim: int, period: int) -> int | None:
    """Return by how much both bounds move in one period all along a dimension, if they do.

    Units that see nothing go along with any advance, as long as they repeat.
    """
    later, earlier = along(lo.ndim, dim, slice(period, None)), along(lo.ndim, dim, slice(0, -period))
    low, high = lo[later] - lo[earlier], hi[later] - hi[earlier]
    if lo.max() >= FAR // 2:
        empty = lo > hi
        seeing = np.broadcast_to(~empty[earlier], np.broadcast_shapes(low.shape, high.shape))
        if (empty[earlier] != empty[later]).any() or not seeing.any():
            return None
        low, high = (np.broadcast_to(step, seeing.shape)[seeing] for step in (low, high))
    advance = int(low.flat[0])
    return advance if advance > 0 and (low == advance).all() and (high == advance).all() else None
