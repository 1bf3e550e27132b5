"""Images in memory: decoded once, uint8."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cifar_report.trainer.records import DataFacts

Pixels: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int64]

SIDE = 32
"""Height and width that pictures of other or differing sizes are resized to [px]."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One half of a data set: `images` (N, H, W, C) uint8, C = 1 or 3, and `labels` (N,) int64."""

    images: Pixels
    labels: Labels
    names: tuple[str, ...] | None = None
    """Where each image came from, for errors; None where the index is its only name."""

    def name(self, index: int) -> str:
        """Return what to call an image in an error."""
        return self.names[index] if self.names else f"image {index}"


@dataclass(frozen=True, slots=True, eq=False)
class ImageData:
    """A data set with its split into training and test images, all of one shape."""

    name: str
    classes: tuple[str, ...]
    train: Split
    test: Split
    note: str = ""
    """What was done to the images, such as `resized from 8x8 to 32x32`."""
    mirrored_is_same: bool = True
    """False where a mirrored image is another sign, as with digits."""


def facts(data: ImageData) -> DataFacts:
    """Describe a data set; mean and deviation are those of the training split's pixels in 0..1."""
    mean, std = _moments(data.train.images)
    height, width, channels = data.train.images.shape[1:]
    return DataFacts(
        name=data.name,
        classes=data.classes,
        train_count=len(data.train.labels),
        test_count=len(data.test.labels),
        train_per_class=per_class(data.train, len(data.classes)),
        test_per_class=per_class(data.test, len(data.classes)),
        image_shape=(channels, height, width),
        mean=mean,
        std=std,
        train_hash=_content_hash(data.train),
        test_hash=_content_hash(data.test),
        note=data.note,
    )


def _content_hash(split: Split) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(split.images).data)
    digest.update(np.ascontiguousarray(split.labels, dtype="<i8").data)
    return digest.hexdigest()


def per_class(split: Split, classes: int) -> tuple[int, ...]:
    """Return how many images of each class a split holds."""
    return tuple(np.bincount(split.labels, minlength=classes).tolist())


def _moments(images: Pixels) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation per channel, exactly, from the counts of the 256 levels."""
    levels = np.arange(256) / 255
    mean, std = [], []
    for channel in range(images.shape[3]):
        share = np.bincount(images[..., channel].ravel(), minlength=256) / images[..., channel].size
        centre = float(share @ levels)
        mean.append(centre)
        std.append(float(np.sqrt(share @ (levels - centre) ** 2)))
    return tuple(mean), tuple(std)
