"""How shadows follow interpolation in every mode, and sampling at the points of a grid."""

from __future__ import annotations

from fractions import Fraction
from itertools import chain
from math import ceil, floor
from typing import Any

import numpy as np

from cifar_report.analyzer.constants import Table, table
from cifar_report.analyzer.field_mixing import anywhere_on_the_map
from cifar_report.analyzer.graph import Node
from cifar_report.analyzer.receptive_field import Lookup, Shadows, field_rule
from cifar_report.analyzer.shadow import Array, expand, regular
from cifar_report.analyzer.shadow_units import NO_UNIT, resample

INTERPOLATIONS = (
    "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d",
    "_upsample_nearest_exact2d", "_upsample_nearest_exact3d", "upsample_linear1d", "upsample_bilinear2d",
    "upsample_trilinear3d", "upsample_bicubic2d", "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
)  # fmt: skip


@field_rule(*INTERPOLATIONS)
def _interpolate(node: Node, shadows: Lookup) -> Shadows:
    value, out = node.args[0], node.outputs[0].shape
    axes = len(out) - 2
    scales = _given_scales(node, axes)
    tables = [
        _units(node.op, value.shape[2 + axis], out[2 + axis], scales[axis], _aligned(node))
        for axis in range(axes)
    ]
    result = []
    for shadow in shadows(value):
        for axis, (units, step) in enumerate(tables):
            shadow = resample(shadow, len(out), 2 + axis, out[2 + axis], units, step)
        result.append(shadow)
    return tuple(result)


def _aligned(node: Node) -> bool:
    return "nearest" not in node.op and bool(node.argument(2, "align_corners", False))


def _given_scales(node: Node, axes: int) -> list[Fraction | None]:
    """Return the scale factors per axis that the network asked for; ATen passes one list or a few numbers."""
    first = 2 if "nearest" in node.op else 3
    settings = [*node.args[first:], *[v for name, v in node.kwargs.items() if name.startswith("scale")]]
    given = list(chain.from_iterable(s if isinstance(s, list | tuple) else [s] for s in settings))
    # A float such as 1.3 stands for the fraction that its author meant.
    scales = [None if scale is None else Fraction(scale).limit_denominator(10_000) for scale in given]
    return scales if len(scales) == axes else [None] * axes


def _units(op: str, n: int, m: int, scale: Fraction | None, aligned: bool) -> tuple[Array, int]:
    """Return which of n units the first of m outputs look at, and how much further on the next look.

    Output j looks at the input around (j + 1/2) * step - 1/2, or j * step when corners are aligned. The
    step is 1 / scale where a scale was given, else n / m, or (n - 1) / (m - 1) with aligned corners.
    """
    step = Fraction(n - 1, m - 1) if aligned and m > 1 else 1 / scale if scale else Fraction(n, m)
    if aligned and m == 1:
        step = Fraction(0)
    rows = [_row(op, j, step, aligned) for j in range(min(step.denominator, m))]
    width = max(len(row) for row in rows)
    return np.array([row + [NO_UNIT] * (width - len(row)) for row in rows]), step.numerator


def _row(op: str, j: int, step: Fraction, aligned: bool) -> list[int]:
    """Return the units that one output weighs with more than 0."""
    if "nearest" in op:
        return [floor((j + Fraction(1, 2)) * step if "exact" in op else j * step)]
    reach = 2 if "cubic" in op else 1
    if op.endswith("_aa"):
        support = reach * max(step, Fraction(1))
        centre = (j + Fraction(1, 2)) * step - Fraction(1, 2)
        return list(range(floor(centre - support) + 1, ceil(centre + support)))
    centre = j * step if aligned else (j + Fraction(1, 2)) * step - Fraction(1, 2)
    low = floor(centre)
    # A sample that falls on a unit takes nothing of its neighbours.
    return [low] if centre == low else list(range(low - reach + 1, low + reach + 1))


@field_rule("grid_sampler")
def _grid_sample(node: Node, shadows: Lookup) -> Shadows:
    """(N, C, H, W) at the points of a grid (N, oh, ow, 2) of x and y in -1 .. 1; constant ones are read."""
    value, grid = node.args[:2]
    mode, _, aligned = node.args[2:5]
    points = None if grid.live else table(grid)
    if points is None or not value.live:
        return anywhere_on_the_map(node, shadows)
    axes = len(value.shape) - 2
    shape, out = value.shape, node.outputs[0].shape
    columns = [
        _grid_units(points[..., axes - 1 - axis], shape[2 + axis], mode, aligned) for axis in range(axes)
    ]
    key = [
        np.clip(units, 0, size - 1).reshape(
            *units.shape[:-1], *[units.shape[-1] if other == axis else 1 for other in range(axes)]
        )
        for axis, (units, size) in enumerate(zip(columns, shape[2:], strict=True))
    ]
    result = []
    for shadow in shadows(value):
        if shadow.plain and shadow.dim in (None, 0, 1):
            result.append(shadow)
            continue
        sides = []
        for bounds, low in zip(expand(shadow, shape), (True, False), strict=True):
            wide = np.broadcast_to(bounds, (*bounds.shape[:2], *shape[2:]))
            maps = np.arange(shape[0]) % len(wide)  # one for all, or each its own
            index: tuple[Any, ...] = (maps.reshape(-1, *[1] * 2 * axes), slice(None), *key)
            taken = np.moveaxis(wide[index], -1, 1)
            mixed = tuple(range(taken.ndim - axes, taken.ndim))
            sides.append(taken.min(axis=mixed) if low else taken.max(axis=mixed))
        result.append(regular(sides[0].reshape(*sides[0].shape[:2], *out[2:]),
                              sides[1].reshape(*sides[1].shape[:2], *out[2:]), shadow))  # fmt: skip
    return tuple(result)


def _grid_units(points: Table, size: int, mode: int, aligned: bool) -> Array:
    """Return which units along an axis the points take in, (oh, ow, taps)."""
    place = (points + 1) / 2 * (size - 1) if aligned else ((points + 1) * size - 1) / 2
    low = np.floor(place).astype(np.int64)
    if mode == 1:  # nearest
        return np.rint(place).astype(np.int64)[..., None]
    taps = np.arange(-1, 3) if mode == 2 else np.arange(2)
    # A point on a unit takes nothing of its neighbours.
    return low[..., None] + np.where((place == low)[..., None], 0, taps)
