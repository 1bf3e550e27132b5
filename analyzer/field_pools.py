"""How shadows follow poolings: plain, adaptive, fractional, and back."""

from __future__ import annotations

from math import gcd

import numpy as np

from cifar_report.analyzer import windows
from cifar_report.analyzer.constants import table
from cifar_report.analyzer.field_windows import slid, with_holes
from cifar_report.analyzer.graph import Node
from cifar_report.analyzer.receptive_field import Lookup, NoRule, Shadows, field_rule
from cifar_report.analyzer.shadow import Array, Shadow, Shape, expand, regular
from cifar_report.analyzer.shadow_union import hull, union
from cifar_report.analyzer.shadow_units import resample
from cifar_report.analyzer.shapes import spread


@field_rule("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
            "max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices")  # fmt: skip
def _pool(node: Node, shadows: Lookup) -> Shadows:
    settings, value = windows.pool(node), node.args[0]
    out = node.outputs[0].shape
    first = len(value.shape) - len(settings.kernel)
    return tuple([slid(s, settings, first, out) for s in shadows(value)])


@field_rule("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "_adaptive_avg_pool2d",
            "_adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
            "adaptive_max_pool3d")  # fmt: skip
def _adaptive_pool(node: Node, shadows: Lookup) -> Shadows:
    """Output j averages the units floor(j * n / m) .. ceil((j + 1) * n / m) - 1 of n for m outputs."""
    value, out = node.args[0], node.outputs[0].shape
    axes = 1 if node.op.endswith("1d") else 2 if node.op.endswith("2d") else 3
    result = []
    for shadow in shadows(value):
        for dim in range(len(out) - axes, len(out)):
            n, m = value.shape[dim], out[dim]
            if m == 1:
                shadow = hull(shadow, value.shape, [dim])
            elif n != m:
                period = m // gcd(n, m)
                first = [j * n // m for j in range(period)]
                last = [-(-(j + 1) * n // m) - 1 for j in range(period)]
                width = max(b - a for a, b in zip(first, last, strict=True))
                units = np.minimum(np.array(first)[:, None] + np.arange(width + 1), np.array(last)[:, None])
                shadow = resample(shadow, len(out), dim, m, units, n // gcd(n, m))
        result.append(shadow)
    return tuple(result)


@field_rule("max_unpool2d", "max_unpool3d")
def _unpool(node: Node, shadows: Lookup) -> Shadows:
    """Each unit goes back to one place of its pool's window; which, depends on the image."""
    value, indices = node.args[:2]
    pool = shadows.nodes[indices.producer] if indices.live else None
    if pool is None or pool.op not in windows.POOLS or pool.outputs[0].shape != value.shape:
        raise NoRule
    settings, out = windows.pool(pool)._replace(transposed=True), node.outputs[0].shape
    first = len(value.shape) - len(settings.kernel)
    fields = []
    for axes in zip(shadows(indices), shadows(value) if value.live else shadows(indices), strict=True):
        shadow = union([(s, value.shape) for s in axes], value.shape, node.index)
        fields.append(slid(shadow, settings, first, out))
    return with_holes(tuple(fields), settings, out, first)


@field_rule("fractional_max_pool2d", "fractional_max_pool3d")
def _fractional_pool(node: Node, shadows: Lookup) -> Shadows:
    """Windows of one size, a fraction of a unit apart, from a start that is drawn for every channel."""
    value, kernel, size, samples = node.args[:4]
    drawn = table(samples)
    axes = len(samples.shape) and int(samples.shape[-1])
    out = node.outputs[0].shape
    if drawn is None or len(value.shape) != axes + 2 or value.shape[0] != 1:
        raise NoRule
    kernels, sizes = spread(kernel, axes), spread(size, axes)
    result = []
    for shadow in shadows(value):
        shape = value.shape
        for axis in range(axes):
            dim = axis + 2
            # The drawn numbers of torch stand for width first.
            starts = _starts(drawn[0, :, axes - 1 - axis], shape[dim], sizes[axis], kernels[axis])
            shadow = _per_channel(shadow, shape, dim, starts[..., None] + np.arange(kernels[axis]))
            shape = (*shape[:dim], out[dim], *shape[dim + 1 :])
        result.append(shadow)
    return tuple(result)


def _starts(drawn: Array, size: int, count: int, kernel: int) -> Array:
    """Return the first unit of each window, (C, count)."""
    if count == 1:
        return np.full((len(drawn), 1), size - kernel)
    step = (size - kernel) / (count - 1)
    starts = ((np.arange(count) + drawn[:, None]) * step).astype(np.int64) - (drawn * step).astype(np.int64)[
        :, None
    ]
    starts[:, -1] = size - kernel
    return starts


def _per_channel(shadow: Shadow, shape: Shape, dim: int, units: Array) -> Shadow:
    """Return the shadow of units (J, T) along a dimension, other ones for each of C channels: (C, J, T)."""
    if dim != shadow.dim and shadow.plain:
        return shadow
    lo, hi = expand(shadow, shape)
    sides = []
    for bounds, low in ((lo, True), (hi, False)):
        wide = np.broadcast_to(bounds, (*bounds.shape[:1], shape[1], *bounds.shape[2:dim], shape[dim],
                                        *bounds.shape[dim + 1 :]))  # fmt: skip
        taken = np.stack([np.take(wide[:, c], units[c], axis=dim - 1) for c in range(shape[1])], axis=1)
        sides.append(taken.min(axis=dim + 1) if low else taken.max(axis=dim + 1))
    return regular(sides[0], sides[1], shadow)
