"""Twins of transforms that cut holes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cifar_report.trainer.twins_rules import Rule, Shape, Twin, Uniform, between, need, whole

_EDGES = 4
"""Numbers per hole: first column, first row, and the column and row behind the last."""


def _coarse_dropout(transform: Any, shape: Shape) -> Twin:
    channels, height, width = shape
    fill = transform.fill
    need(not isinstance(fill, str), "CoarseDropout", f"fill={fill!r}")
    levels = np.broadcast_to(np.asarray(fill), (channels,)).astype(np.uint8)
    few, many = transform.num_holes_range

    def parameters(uniform: Uniform) -> NDArray[np.float64]:
        count = whole(uniform[:, :1], few, many)
        y, x, rows, columns = np.moveaxis(uniform[:, 1:].reshape(len(uniform), many, _EDGES), 2, 0)
        tall, wide = _sizes(transform, rows, columns, shape)
        top, left = whole(y, 0, height - tall), whole(x, 0, width - wide)
        holes = np.stack([left, top, left + wide, top + tall], axis=2)
        holes[np.arange(many) >= count] = 0
        return holes.reshape(len(uniform), many * _EDGES)

    def apply(images: torch.Tensor, holes: torch.Tensor) -> torch.Tensor:
        colour = torch.tensor(levels, device=images.device).view(1, channels, 1, 1)
        return torch.where(_inside(holes.view(-1, many, _EDGES), height, width), colour, images)

    return Twin(transform.p, 1 + _EDGES * many, parameters, apply)


def _sizes(
    transform: Any, rows: Uniform, columns: Uniform, shape: Shape
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return heights and widths [px]: given in pixels, or below 1 as shares, rounded down."""
    _, height, width = shape
    tall, wide = transform.hole_height_range, transform.hole_width_range
    if tall[1] >= 1:
        return (
            whole(rows, int(tall[0]), int(min(tall[1], height))),
            whole(columns, int(wide[0]), int(min(wide[1], width))),
        )
    return np.floor(height * between(rows, *tall)), np.floor(width * between(columns, *wide))


def _inside(holes: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Return which pixels lie in any of the holes (B, K, 4), as (B, 1, H, W)."""
    left, top, right, bottom = (edge.unsqueeze(2) for edge in holes.unbind(2))
    x, y = (torch.arange(size, device=holes.device) for size in (width, height))
    columns = (x >= left) & (x < right)
    rows = (y >= top) & (y < bottom)
    return (rows.unsqueeze(3) & columns.unsqueeze(2)).any(dim=1, keepdim=True)


DROPOUT: dict[str, Rule] = {"CoarseDropout": _coarse_dropout}
