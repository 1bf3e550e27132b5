"""Shadows of units taken along one dimension: sliding windows, slices, indices, interpolation."""

from __future__ import annotations

from dataclasses import replace
from math import gcd

import numpy as np

from cifar_report.analyzer.shadow import (
    FAR,
    Array,
    Bounds,
    Shadow,
    Shape,
    constant_along,
    full,
    keep_empty,
    plain_bounds,
    regular,
    squeezed,
)

NO_UNIT = FAR
"""In a table of units: a place that stays empty."""


def window(
    shadow: Shadow, rank: int, dim: int, out: int, kernel: int, stride: int, padding: int, dilation: int
) -> Shadow:
    """Return the shadow after a sliding window along one dimension: convolution, pool, unfold.

    Unit j sees the units j * stride - padding + t * dilation for t in 0 .. kernel - 1. Those outside
    the map are virtual: the pattern goes on, so the size is the theoretical, unclipped one.
    """
    if dim == shadow.dim:
        if shadow.period == 1:
            if kernel == stride == 1 and not padding:
                return shadow
            reach = (kernel - 1) * dilation - padding
            return Shadow(
                shadow.lo - padding * shadow.advance,
                shadow.hi + reach * shadow.advance,
                dim,
                shadow.advance * stride,
                1,
                shadow.cause,
            )
    elif constant_along(shadow, dim):
        return shadow
    units = np.arange(kernel)[None, :] * dilation - padding
    return resample(shadow, rank, dim, out, units, stride)


def transposed_window(
    shadow: Shadow, rank: int, dim: int, out: int, kernel: int, stride: int, padding: int, dilation: int
) -> Shadow:
    """Return the shadow after a transposed convolution along one dimension.

    Unit j gets the units i for which j = i * stride - padding + t * dilation has a t in 0 .. kernel - 1.
    A unit that gets none (a kernel smaller than its stride) sees nothing.
    """
    sources = np.arange(stride)[:, None] + padding - (np.arange(kernel) * dilation)[None, :]
    units = np.where(sources % stride == 0, sources // stride, NO_UNIT)
    return resample(shadow, rank, dim, out, units, 1)


def resample(shadow: Shadow, rank: int, dim: int, out: int, units: Array, step: int) -> Shadow:
    """Return the shadow after an operator whose units see given units along one dimension.

    Args:
        shadow: of the operator's input.
        rank: how many dimensions it has.
        dim: the dimension.
        out: the output's size along it.
        units: (J, T) what outputs 0 .. J - 1 see, `NO_UNIT` where it is fewer than T.
        step: outputs J .. 2 J - 1 see the same units, this much further on, and so forth.
    """
    if dim != shadow.dim:
        if constant_along(shadow, dim):
            return shadow
        repeats = -(-out // len(units))
        every = _repeat(units, step, repeats)[:out]
        lo, hi = (_gather_edges(full(b, rank), every, dim, low) for b, low in _both(shadow))
        lo, hi = keep_empty(lo, hi)
        if shadow.dim is None:
            return regular(lo, hi, shadow)
        return replace(shadow, lo=plain_bounds(squeezed(lo)), hi=plain_bounds(squeezed(hi)))
    repeats = shadow.period // gcd(shadow.period, step)
    every = _repeat(units, step, repeats)
    lo, hi = (_gather(full(b, rank), every, dim, low, shadow) for b, low in _both(shadow))
    lo, hi = keep_empty(lo, hi)
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
        flat_lo, flat_hi = squeezed(lo - ramp), squeezed(hi - ramp)
        if flat_lo.shape[dim] == flat_hi.shape[dim] == 1:
            lo, hi, advance, period = flat_lo, flat_hi, advance // period, 1
    return Shadow(plain_bounds(lo), plain_bounds(hi), dim, advance, period, shadow.cause)


def at_units(shadow: Shadow, shape: Shape, dim: int, units: Array) -> Shadow:
    """Return the shadow of given units along a dimension, in whose place come the table's dimensions.

    Args:
        shadow: of a tensor.
        shape: of the tensor.
        dim: the dimension.
        units: which units, of any shape; those outside the tensor are virtual, as for windows.
    """
    extra, rank = units.ndim - 1, len(shape)
    if shadow.dim == dim:
        steps = (units // shadow.period * shadow.advance).reshape(
            (1,) * dim + units.shape + (1,) * (rank - dim - 1)
        )
        index = units % shadow.period
        lo, hi = (
            _inserted(bounds, dim, units.ndim) if bounds.shape[dim] == 1 else np.take(bounds, index, axis=dim)
            for bounds in (full(shadow.lo, rank), full(shadow.hi, rank))
        )
        lo, hi = keep_empty(lo + steps, hi + steps)
        return Shadow(plain_bounds(lo), plain_bounds(hi), None, shadow.advance, 1, shadow.cause)
    moved = shadow.dim + extra if shadow.dim is not None and shadow.dim > dim else shadow.dim
    if shadow.plain:
        return replace(shadow, dim=moved)
    taken: list[Bounds] = []
    for bounds, low in _both(shadow):
        if isinstance(bounds, int):
            taken.append(bounds)
        elif bounds.shape[dim] == 1:
            taken.append(_inserted(bounds, dim, units.ndim))
        else:
            flat = _gather_edges(bounds, units.reshape(-1, 1), dim, low)
            taken.append(flat.reshape(bounds.shape[:dim] + units.shape + bounds.shape[dim + 1 :]))
    return replace(shadow, lo=taken[0], hi=taken[1], dim=moved)


def _inserted(bounds: Array, dim: int, count: int) -> Array:
    """Return bounds with several dimensions of size 1 in place of one."""
    return bounds.reshape(bounds.shape[:dim] + (1,) * count + bounds.shape[dim + 1 :])
