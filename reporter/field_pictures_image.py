"""The image that fields are drawn on: the user's, in the network's size, or a neutral pattern."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cifar_report.analyzer.errors import UsageError

Image = NDArray[np.uint8]

ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff")


def colours(image: Image) -> Image:
    """Return an image (height, width, channels) of 1 or 3 channels as one of 3."""
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def read_image(path: Path, size: tuple[int, int]) -> Image:
    """Return a picture (height, width, 3) as a network of that input size would see it.

    Its middle is cut out in the right proportion, then scaled, as torchvision's evaluation transforms do.

    Raises:
        UsageError: there is no such file, or it is no picture.
    """
    from PIL import Image as Pillow
    from PIL import ImageOps

    try:
        with Pillow.open(path) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
            middle = upright.crop(_middle(upright.height, upright.width, size))
            return np.asarray(middle.resize((size[1], size[0]), Pillow.Resampling.BILINEAR))
    except FileNotFoundError:
        raise UsageError(f"there is no picture {path}", hint="name a PNG or JPEG file") from None
    except (OSError, Pillow.DecompressionBombError) as error:
        raise UsageError(
            f"can't read {path} as a picture", found=str(error), hint="name a PNG or JPEG file"
        ) from error


def _middle(height: int, width: int, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of the largest part in the middle with the sides of `size`."""
    scale = min(height / size[0], width / size[1])
    high, wide = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    top, left = (height - high) // 2, (width - wide) // 2
    return left, top, left + wide, top + high


def read_images(path: Path, shape: Sequence[int]) -> Tensor:
    """Return a picture, or all in a folder and below, as input for a network: (N, channels, height, width).

    Channels are scaled to mean 0 and deviation 1 over all pictures.

    Raises:
        UsageError: no picture is there, or the network doesn't take 1 or 3 channels.
    """
    channels, height, width = shape
    if channels not in (1, 3):
        raise UsageError(f"a picture has no {channels} channels", expected="a network for 1 or 3 channels")
    files = [path] if not path.is_dir() else sorted(f for f in path.rglob("*") if f.suffix.lower() in ENDINGS)
    if not files:
        raise UsageError(f"there is no picture in {path}", expected=f"files that end in {', '.join(ENDINGS)}")
    pictures = np.stack([read_image(file, (height, width)) for file in files]).astype(np.float32) / 255
    if channels == 1:
        pictures = pictures.mean(axis=3, keepdims=True)
    spread = np.maximum(pictures.std(axis=(0, 1, 2)), 1 / 255)
    scaled = (pictures - pictures.mean(axis=(0, 1, 2))) / spread
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))


def pattern(size: tuple[int, int]) -> Image:
    """Return a grey chequerboard (height, width, 3) of about eight squares along the shorter side."""
    side = max(1, min(size) // 8)
    rows, columns = (np.arange(length) // side for length in size)
    grey = np.where((rows[:, None] + columns[None, :]) % 2 == 0, 205, 180).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
