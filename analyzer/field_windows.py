"""How shadows follow convolutions, also transposed, and with weights that depend on the image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cifar_report.analyzer import windows
from cifar_report.analyzer.field_mixing import mark_global
from cifar_report.analyzer.graph import Node
from cifar_report.analyzer.receptive_field import Lookup, Shadows, field_rule
from cifar_report.analyzer.shadow import EMPTY, Array, Shadow, Shape, constant_along, emptied, expand
from cifar_report.analyzer.shadow_union import hull, union
from cifar_report.analyzer.shadow_units import transposed_window, window


def mix_channels(shadow: Shadow, shape: Shape, dim: int, groups: int, out_channels: int) -> Shadow:
    """Return the shadow after each output channel saw all input channels of its group.

    Args:
        shadow: of the operator's input.
        shape: of the operator's input.
        dim: where its channels are: 1, or 0 without a batch.
        groups: of channels.
        out_channels: how many come out.
    """
    if groups == 1:
        return hull(shadow, shape, [dim])
    if groups == shape[dim] == out_channels:
        return shadow
    if shadow.dim == dim:
        lo, hi = expand(shadow, shape)
        shadow = replace(shadow, lo=lo, hi=hi, dim=None, period=1)
    grouped = []
    for bounds, low in ((shadow.lo, True), (shadow.hi, False)):
        if isinstance(bounds, int) or bounds.shape[dim] == 1:
            grouped.append(bounds)
            continue
        split = bounds.reshape(*bounds.shape[:dim], groups, -1, *bounds.shape[dim + 1 :])
        mixed: Array = split.min(axis=dim + 1) if low else split.max(axis=dim + 1)
        grouped.append(np.repeat(mixed, out_channels // groups, axis=dim))
    return replace(shadow, lo=grouped[0], hi=grouped[1])


@field_rule("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
            "convolution", "_convolution")  # fmt: skip
def _convolution(node: Node, shadows: Lookup) -> Shadows:
    settings, value = windows.convolution(node), node.args[0]
    shape, out = value.shape, node.outputs[0].shape
    channels = len(value.shape) - len(settings.kernel) - 1  # an unbatched input has its channels at 0
    result = []
    for shadow in shadows(value) if value.live else (EMPTY,) * len(shadows(node.live_inputs[0])):
        if not shadow.plain or shadow.dim == channels:
            shadow = mix_channels(shadow, shape, channels, settings.groups, out[channels])
        result.append(slid(shadow, settings, channels + 1, out))
    fields = with_holes(tuple(result), settings, out, channels + 1) if settings.transposed else tuple(result)
    return fields if len(node.live_inputs) == 1 and value.live else _with_weights(node, shadows, fields)


def slid(shadow: Shadow, settings: windows.Window, first: int, out: Shape) -> Shadow:
    """Return the shadow after a window slid along all its axes.

    Args:
        shadow: of the operator's input.
        settings: of the window.
        first: the dimension along which its first axis slides.
        out: the shape of the operator's output.
    """
    slide = transposed_window if settings.transposed else window
    for axis, kernel in enumerate(settings.kernel):
        dim = first + axis
        if dim == shadow.dim or not constant_along(shadow, dim):
            shadow = slide(
                shadow, len(out), dim, out[dim], kernel,
                settings.stride[axis], settings.padding[axis], settings.dilation[axis],
            )  # fmt: skip
    return shadow


def _with_weights(node: Node, shadows: Lookup, fields: Shadows) -> Shadows:
    """Add what weights see that depend on the image: every unit sees all of that."""
    out = node.outputs[0].shape
    result = []
    for axis, field in enumerate(fields):
        parts, befores = [(field, out)] if node.args[0].live else [], [field]
        for value in node.live_inputs:
            if value is not node.args[0] or value in node.args[1:]:
                before = shadows(value)[axis]
                parts.append((hull(before, value.shape, range(len(value.shape))), (1,) * len(out)))
                befores.append(before)
        result.append(mark_global(union(parts, out, node.index), befores, out, node.index))
    return tuple(result)


def with_holes(shadows: Shadows, settings: windows.Window, out: Shape, first: int) -> Shadows:
    """Empty the units that a transposed convolution leaves out, on every axis of the image.

    A kernel smaller than its stride puts nothing into some rows; these see no column either.
    """
    for axis, stride in enumerate(settings.stride):
        taps = range(settings.kernel[axis])
        filled = {(t * settings.dilation[axis] - settings.padding[axis]) % stride for t in taps}
        if len(filled) == stride:
            continue
        dim = first + axis
        along = [1] * len(out)
        along[dim] = -1
        hole = ~np.isin(np.arange(out[dim]) % stride, list(filled)).reshape(along)
        shadows = tuple([shadow if shadow.dim == dim else emptied(shadow, hole) for shadow in shadows])
    return shadows
