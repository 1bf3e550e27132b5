"""Twins of transforms that pad and crop."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cifar_report.trainer.twins_rules import Rule, Shape, Twin, Uniform, fixed, need, whole

_CONSTANT = 0
_NUMPYS = {1: "edge", 2: "symmetric", 4: "reflect"}
"""What numpy calls OpenCV's borders."""


def _pad(transform: Any, shape: Shape) -> Twin:
    channels, height, width = shape
    border = transform.border_mode
    need(transform.p == 1, "PadIfNeeded", "p below 1, which makes images of two sizes")
    need(transform.position == "center", "PadIfNeeded", f"position={transform.position!r}")
    divided = transform.pad_height_divisor or transform.pad_width_divisor
    need(not divided, "PadIfNeeded", "a divisor")
    need(border == _CONSTANT or border in _NUMPYS, "PadIfNeeded", f"border_mode={border}")
    rows, columns = _around(height, transform.min_height or 0), _around(width, transform.min_width or 0)
    size = (channels, height + sum(rows), width + sum(columns))
    level = torch.tensor(np.broadcast_to(np.asarray(transform.fill), (channels,)).astype(np.uint8))

    def fill(images: torch.Tensor) -> torch.Tensor:
        framed = level.to(images.device).view(1, -1, 1, 1).repeat(len(images), 1, size[1], size[2])
        framed[:, :, rows[0] : rows[0] + height, columns[0] : columns[0] + width] = images
        return framed

    if border == _CONSTANT:
        return fixed(1.0, fill, shape=size)
    y, x = (
        torch.from_numpy(np.pad(np.arange(length), around, mode=_NUMPYS[border]))  # type: ignore[call-overload]  # it wants a literal
        for length, around in ((height, rows), (width, columns))
    )
    return fixed(
        1.0, lambda images: images[:, :, y.to(images.device)][:, :, :, x.to(images.device)], shape=size
    )


def _around(length: int, wanted: int) -> tuple[int, int]:
    """Return how much comes before and after; of an odd number, one more after."""
    missing = max(wanted - length, 0)
    return missing // 2, missing - missing // 2


def _random_crop(transform: Any, shape: Shape) -> Twin:
    channels, height, width = shape
    tall, wide = transform.height, transform.width
    need(transform.p == 1, "RandomCrop", "p below 1, which makes images of two sizes")
    need(tall <= height and wide <= width, "RandomCrop", "images smaller than the crop")

    def parameters(uniform: Uniform) -> NDArray[np.float64]:
        y, x = uniform.T
        return np.stack([whole(y, 0, height - tall), whole(x, 0, width - wide)], axis=1)

    def apply(images: torch.Tensor, corners: torch.Tensor) -> torch.Tensor:
        start = corners.long()
        y = start[:, :1] + torch.arange(tall, device=images.device)
        x = start[:, 1:] + torch.arange(wide, device=images.device)
        which = torch.arange(len(images), device=images.device)[:, None, None, None]
        plane = torch.arange(channels, device=images.device)[None, :, None, None]
        return images[which, plane, y[:, None, :, None], x[:, None, None, :]]

    return Twin(1.0, 2, parameters, apply, shape=(channels, tall, wide))


FRAME: dict[str, Rule] = {"PadIfNeeded": _pad, "RandomCrop": _random_crop}
