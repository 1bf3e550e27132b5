"""How shadows follow sliding windows: convolutions and poolings."""

from __future__ import annotations

from dataclasses import replace
from math import gcd

import numpy as np

from cifar_report.analyzer import windows
from cifar_report.analyzer.graph import Node
from cifar_report.analyzer.receptive_field import Lookup, NoRule, Shadows, field_rule
from cifar_report.analyzer.shadow import Array, Shadow, Shape, emptied, expand
from cifar_report.analyzer.shadow_union import hull
from cifar_report.analyzer.shadow_units import resample, transposed_window, window


def mix_channels(shadow: Shadow, shape: Shape, groups: int, out_channels: int) -> Shadow:
    """Return the shadow after each output channel saw all input channels of its group."""
    if shadow.plain and shadow.dim != 1:
        return shadow
    if groups == 1:
        return hull(shadow, shape, [1])
    if shadow.dim == 1:
        lo, hi = expand(shadow, shape)
        shadow = replace(shadow, lo=lo, hi=hi, dim=None)
    grouped = []
    for bounds, low in ((shadow.lo, True), (shadow.hi, False)):
        if isinstance(bounds, int) or bounds.shape[1] == 1:
            grouped.append(bounds)
            continue
        split = bounds.reshape(bounds.shape[0], groups, -1, *bounds.shape[2:])
        mixed: Array = split.min(axis=2) if low else split.max(axis=2)
        grouped.append(np.repeat(mixed, out_channels // groups, axis=1))
    return replace(shadow, lo=grouped[0], hi=grouped[1])


@field_rule("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
            "convolution", "_convolution")  # fmt: skip
def _convolution(node: Node, shadows: Lookup) -> Shadows:
    settings, value = windows.convolution(node), node.args[0]
    if not value.live:
        raise NoRule  # the weights depend on the image, what they slide over doesn't
    if node.args[1].live:
        raise NoRule
    out, rank = node.outputs[0].shape, len(value.shape)
    slide = transposed_window if settings.transposed else window
    lead = rank - len(settings.kernel) - 1  # an unbatched input has its channels at 0
    if lead != 1:
        raise NoRule
    result = []
    for shadow in shadows(value):
        shadow = mix_channels(shadow, value.shape, settings.groups, out[1])
        shape = (value.shape[0], out[1], *value.shape[2:])
        for axis, kernel in enumerate(settings.kernel):
            dim = axis + 2
            shadow = slide(
                shadow, shape, dim, out[dim], kernel,
                settings.stride[axis], settings.padding[axis], settings.dilation[axis],
            )  # fmt: skip
            shape = (*shape[:dim], out[dim], *shape[dim + 1 :])
        result.append(shadow)
    return _with_holes(tuple(result), settings, out) if settings.transposed else tuple(result)


def _with_holes(shadows: Shadows, settings: windows.Window, out: Shape) -> Shadows:
    """Empty the units that a transposed convolution leaves out, on every axis of the image.

    A kernel smaller than its stride puts nothing into some rows; these see no column either.
    """
    for axis, stride in enumerate(settings.stride):
        taps = range(settings.kernel[axis])
        filled = {(t * settings.dilation[axis] - settings.padding[axis]) % stride for t in taps}
        if len(filled) == stride:
            continue
        dim = axis + 2
        along = [1] * len(out)
        along[dim] = -1
        hole = ~np.isin(np.arange(out[dim]) % stride, list(filled)).reshape(along)
        shadows = tuple([shadow if shadow.dim == dim else emptied(shadow, hole) for shadow in shadows])
    return shadows


@field_rule("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
            "max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices")  # fmt: skip
def _pool(node: Node, shadows: Lookup) -> Shadows:
    settings, value = windows.pool(node), node.args[0]
    out = node.outputs[0].shape
    first = len(value.shape) - len(settings.kernel)
    result = []
    for shadow in shadows(value):
        shape = value.shape
        for axis, kernel in enumerate(settings.kernel):
            dim = first + axis
            shadow = window(
                shadow, shape, dim, out[dim], kernel,
                settings.stride[axis], settings.padding[axis], settings.dilation[axis],
            )  # fmt: skip
            shape = (*shape[:dim], out[dim], *shape[dim + 1 :])
        result.append(shadow)
    return tuple(result)


@field_rule("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "_adaptive_avg_pool2d",
            "_adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
            "adaptive_max_pool3d")  # fmt: skip
def _adaptive_pool(node: Node, shadows: Lookup) -> Shadows:
    """Output j averages the units floor(j * n / m) .. ceil((j + 1) * n / m) - 1 of n for m outputs."""
    value, out = node.args[0], node.outputs[0].shape
    axes = 1 if node.op.endswith("1d") else 2 if node.op.endswith("2d") else 3
    result = []
    for shadow in shadows(value):
        shape = value.shape
        for dim in range(len(shape) - axes, len(shape)):
            n, m = shape[dim], out[dim]
            if m == 1:
                shadow = hull(shadow, shape, [dim])
            elif n != m:
                period = m // gcd(n, m)
                first = [j * n // m for j in range(period)]
                last = [-(-(j + 1) * n // m) - 1 for j in range(period)]
                width = max(b - a for a, b in zip(first, last, strict=True))
                units = np.minimum(np.array(first)[:, None] + np.arange(width + 1), np.array(last)[:, None])
                shadow = resample(shadow, shape, dim, m, units, n // gcd(n, m))
            shape = (*shape[:dim], m, *shape[dim + 1 :])
        result.append(shadow)
    return tuple(result)
