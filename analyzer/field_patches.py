"""How shadows follow patches: cut out of a map (unfold), put back together (fold)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cifar_report.analyzer.field_index import simplified
from cifar_report.analyzer.field_views import permuted, reshaped
from cifar_report.analyzer.graph import Node
from cifar_report.analyzer.receptive_field import Lookup, NoRule, Shadows, field_rule
from cifar_report.analyzer.shadow import FAR, Array, Shape, expand, regular
from cifar_report.analyzer.shadow_units import at_units
from cifar_report.analyzer.shapes import spread


@field_rule("unfold")
def _slide(node: Node, shadows: Lookup) -> Shadows:
    """(.., n, ..) to (.., windows, .., size)."""
    value = node.args[0]
    dim, size, step = node.args[1:4]
    rank = len(value.shape)
    dim = dim % rank
    count = node.outputs[0].shape[dim]
    units = np.arange(count)[:, None] * step + np.arange(size)
    order = [d for d in range(rank + 1) if d != dim + 1] + [dim + 1]
    shape = (*value.shape[:dim], count, size, *value.shape[dim + 1 :])
    return tuple([
        permuted(simplified(at_units(s, value.shape, dim, units), shape), order) for s in shadows(value)
    ])  # fmt: skip


@field_rule("im2col")
def _unfold(node: Node, shadows: Lookup) -> Shadows:
    """(N, C, H, W) to (N, C * kh * kw, oh * ow): every column is a patch."""
    value, out = node.args[0], node.outputs[0].shape
    kernel, dilation, padding, stride = (spread(setting, 2) for setting in node.args[1:5])
    if len(value.shape) != 4:
        raise NoRule
    batch, channels, *sizes = value.shape
    counts = [
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, d, p, s in zip(sizes, kernel, dilation, padding, stride, strict=True)
    ]
    tables = [
        np.arange(k)[:, None] * d + np.arange(count) * s - p
        for k, d, p, s, count in zip(kernel, dilation, padding, stride, counts, strict=True)
    ]
    result = []
    for shadow in shadows(value):
        shadow = at_units(shadow, value.shape, 3, tables[1])
        shadow = at_units(shadow, (batch, channels, sizes[0], kernel[1], counts[1]), 2, tables[0])
        shadow = permuted(shadow, [0, 1, 2, 4, 3, 5])
        shadow = simplified(shadow, (batch, channels, *kernel, *counts))
        result.append(reshaped(shadow, (batch, channels, *kernel, *counts), out))
    return tuple(result)


@field_rule("col2im")
def _fold(node: Node, shadows: Lookup) -> Shadows:
    """(N, C * kh * kw, oh * ow) to (N, C, H, W): patches are added where they overlap."""
    value, out = node.args[0], node.outputs[0].shape
    kernel, dilation, padding, stride = (spread(setting, 2) for setting in node.args[2:6])
    if len(value.shape) != 3:
        raise NoRule
    counts = tuple([
        (size + 2 * p - d * (k - 1) - 1) // s + 1
        for size, k, d, p, s in zip(out[2:], kernel, dilation, padding, stride, strict=True)
    ])  # fmt: skip
    patches = (*out[:2], *kernel, *counts)
    result = []
    for shadow in shadows(value):
        if shadow.plain and shadow.dim is None:
            result.append(shadow)
            continue
        sides = expand(reshaped(shadow, value.shape, patches), patches)
        lo, hi = (_overlaid(side, patches, out, dilation, padding, stride, low) for side, low in
                  zip(sides, (True, False), strict=True))  # fmt: skip
        result.append(replace(regular(lo, hi, shadow), cause=shadow.cause))
    return tuple(result)


def _overlaid(
    bounds: Array, patches: Shape, out: Shape, dilation: Shape, padding: Shape, stride: Shape, low: bool
) -> Array:
    """Return a bound of the hull over all patches that a unit lies in."""
    bounds = np.broadcast_to(bounds, (*bounds.shape[:2], *patches[2:]))
    sizes = [size + 2 * p for size, p in zip(out[2:], padding, strict=True)]
    canvas = np.full((*bounds.shape[:2], *sizes), FAR if low else -FAR, dtype=np.int64)
    reduce = np.minimum if low else np.maximum
    for i, j in np.ndindex(*patches[2:4]):
        where = tuple([
            slice(tap * d, tap * d + (count - 1) * s + 1, s)
            for tap, d, count, s in zip((i, j), dilation, patches[4:], stride, strict=True)
        ])  # fmt: skip
        part = canvas[(slice(None), slice(None), *where)]
        reduce(part, bounds[:, :, i, j], out=part)
    (top, left), (height, width) = padding, out[2:]
    inner: Array = canvas[:, :, top : top + height, left : left + width]
    return inner
