"""Twins of transforms that move pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from cifar_report.trainer.twins_rules import Rule, Shape, Twin, Uniform, between, fixed, need, to_bytes

# OpenCV's numbers, which albumentations' attributes hold.
_LINEAR, _NEAREST = 1, 0
_CONSTANT, _REPLICATE, _REFLECT_101 = 0, 1, 4
_PADDING = {_CONSTANT: "zeros", _REPLICATE: "border", _REFLECT_101: "reflection"}
"""What grid_sample calls OpenCV's borders where pixel centres are the corners."""


def _horizontal_flip(transform: Any, shape: Shape) -> Twin:
    return fixed(transform.p, lambda images: images.flip(3))


def _vertical_flip(transform: Any, shape: Shape) -> Twin:
    return fixed(transform.p, lambda images: images.flip(2))


def _affine(transform: Any, shape: Shape) -> Twin:
    need(not transform.fit_output, "Affine", "fit_output=True")
    need(not transform.balanced_scale, "Affine", "balanced_scale=True")
    _, height, width = shape

    def parameters(uniform: Uniform) -> NDArray[np.float64]:
        move_x, move_y, shear_x, shear_y, scale_x, scale_y, turn = uniform.T
        scales = between(scale_x, *transform.scale["x"]), between(scale_y, *transform.scale["y"])
        return _matrices(
            _shifts(transform, move_x, move_y, shape),
            (between(shear_x, *transform.shear["x"]), between(shear_y, *transform.shear["y"])),
            (scales[0], scales[0] if transform.keep_ratio else scales[1]),
            between(turn, *transform.rotate),
            (height, width),
        )

    return Twin(transform.p, 7, parameters, _warp(transform, shape))


def _rotate(transform: Any, shape: Shape) -> Twin:
    need(not transform.crop_border, "Rotate", "crop_border=True")
    _, height, width = shape

    def parameters(uniform: Uniform) -> NDArray[np.float64]:
        none, same = np.zeros(len(uniform)), np.ones(len(uniform))
        turn = between(uniform[:, 0], *transform.limit)
        return _matrices((none, none), (none, none), (same, same), turn, (height, width))

    return Twin(transform.p, 1, parameters, _warp(transform, shape))


def _transpose(transform: Any, shape: Shape) -> Twin:
    need(shape[1] == shape[2], "Transpose", "images that aren't square")
    return fixed(transform.p, lambda images: images.transpose(2, 3))


def _shifts(
    transform: Any, x: NDArray[np.float64], y: NDArray[np.float64], shape: Shape
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far images move [px]: whole pixels, shares truncated towards zero as albumentations does."""
    _, height, width = shape
    if transform.translate_px is not None:
        (x0, x1), (y0, y1) = (tuple(map(int, transform.translate_px[axis])) for axis in "xy")
        return np.floor(between(x, x0, x1 + 1)), np.floor(between(y, y0, y1 + 1))
    share = transform.translate_percent
    return np.trunc(between(x, *share["x"]) * width), np.trunc(between(y, *share["y"]) * height)


def _matrices(
    shift: tuple[NDArray[np.float64], NDArray[np.float64]],
    shear: tuple[NDArray[np.float64], NDArray[np.float64]],
    scale: tuple[NDArray[np.float64], NDArray[np.float64]],
    turn: NDArray[np.float64],
    size: tuple[int, int],
) -> NDArray[np.float64]:
    """Return for each image, as a row of six, where each output pixel comes from, in grid_sample's units.

    The forward matrix is albumentations': scale, turn, shear, shift, about the middle of the image.
    """
    angle = np.deg2rad(turn)
    scaled = np.zeros((len(angle), 2, 2))
    scaled[:, 0, 0], scaled[:, 1, 1] = scale
    turned = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], axis=1).reshape(-1, 2, 2)
    sheared = np.stack([np.ones_like(angle), -np.tan(np.deg2rad(shear[0])), -np.tan(np.deg2rad(shear[1]))])
    slanted = np.stack([sheared[0], sheared[1], sheared[2], sheared[0]], axis=1).reshape(-1, 2, 2)
    back = np.linalg.inv(slanted @ turned @ scaled)
    offset = -(back @ np.stack(shift, axis=1)[:, :, None])
    # From pixels around the middle to -1..1 from the first pixel's centre to the last's.
    half = np.array([(size[1] - 1) / 2, (size[0] - 1) / 2])
    rows = np.concatenate([back * half / half[:, None], offset / half[:, None]], axis=2)
    return rows.reshape(len(angle), 6)


def _warp(transform: Any, shape: Shape) -> Any:
    """Return what `Twin.apply` is for a transform with interpolation, border and fill."""
    name = type(transform).__name__
    border, fill = transform.border_mode, np.asarray(transform.fill, dtype=np.float64)
    need(border in _PADDING, name, f"border_mode={border}")
    need(transform.interpolation in (_LINEAR, _NEAREST), name, f"interpolation={transform.interpolation}")
    mode = "bilinear" if transform.interpolation == _LINEAR else "nearest"
    channels, height, width = shape
    base = _base(height, width)

    def apply(images: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        # Coordinates lie plane by plane: grid_sample reads that three times faster than pairs, and one
        # product makes it.
        grid = (rows.view(-1, 3) @ base.to(rows.device)).view(-1, 2, height, width).permute(0, 2, 3, 1)
        level = torch.tensor(np.broadcast_to(fill, (channels,)), dtype=torch.float32, device=images.device)
        # Outside of a constant border lies 0, so levels count from the fill.
        values = images.float().sub_(level.view(1, -1, 1, 1)) if border == _CONSTANT else images.float()
        moved = functional.grid_sample(values, grid, mode, _PADDING[border], align_corners=True)
        return to_bytes(moved.add_(level.view(1, -1, 1, 1)) if border == _CONSTANT else moved)

    return apply


def _base(height: int, width: int) -> torch.Tensor:
    """Return the homogeneous coordinates of all pixels, (3, H * W)."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
    return torch.stack([x.flatten(), y.flatten(), torch.ones(height * width)])


GEOMETRY: dict[str, Rule] = {
    "HorizontalFlip": _horizontal_flip,
    "VerticalFlip": _vertical_flip,
    "Affine": _affine,
    "ShiftScaleRotate": _affine,
    "Rotate": _rotate,
    "Transpose": _transpose,
}
