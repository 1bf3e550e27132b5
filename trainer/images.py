"""Images in memory: decoded once, uint8, checked before any of them trains anything."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.records import DataFacts

Pixels: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int64]

SIDE = 32
"""Height and width of every image that goes into a network [px]."""

_NAMED = 5
"""How many shared images an error names."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """One half of a data set: `images` (N, H, W, 3) uint8 and `labels` (N,) int64."""

    images: Pixels
    labels: Labels
    names: tuple[str, ...] | None = None
    """Where each image came from, for errors; None where the index is its only name."""

    def name(self, index: int) -> str:
        """Return what to call an image in an error."""
        return self.names[index] if self.names else f"image {index}"


@dataclass(frozen=True, slots=True, eq=False)
class ImageData:
    """A data set of 32x32 RGB images with its split into training and test images."""

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
    height, width = data.train.images.shape[1:3]
    return DataFacts(
        name=data.name,
        classes=data.classes,
        train_count=len(data.train.labels),
        test_count=len(data.test.labels),
        train_per_class=_per_class(data.train, len(data.classes)),
        test_per_class=_per_class(data.test, len(data.classes)),
        image_shape=(3, height, width),
        mean=mean,
        std=std,
        train_hash=_content_hash(data.train),
        test_hash=_content_hash(data.test),
        note=data.note,
    )


def check(data: ImageData) -> ImageData:
    """Return the data set if it can be trained and tested on honestly.

    Raises:
        UsageError: a class without images, or a test image that is also a training image.
    """
    for which, split in (("train", data.train), ("test", data.test)):
        counts = _per_class(split, len(data.classes))
        empty = [name for name, count in zip(data.classes, counts, strict=True) if not count]
        if empty:
            raise UsageError(
                f"{data.name}: no {which} image of class {', '.join(empty)}",
                expected="at least one image of every class in both splits",
                found=", ".join(f"{n} {c}" for n, c in zip(data.classes, counts, strict=True)),
            )
    _refuse_shared(data)
    return data


def _refuse_shared(data: ImageData) -> None:
    """Raise where both splits hold an image with exactly the same pixels."""
    training = {_digest(image): index for index, image in enumerate(data.train.images)}
    shared = [
        (training[digest], index)
        for index, image in enumerate(data.test.images)
        if (digest := _digest(image)) in training
    ]
    if shared:
        pairs = [f"test {data.test.name(b)} = train {data.train.name(a)}" for a, b in shared[:_NAMED]]
        more = f" and {len(shared) - _NAMED} more" if len(shared) > _NAMED else ""
        raise UsageError(
            f"{data.name}: {len(shared)} of {len(data.test.labels):,} test images are training images too",
            expected="no image in both splits: accuracy on images seen in training is no test",
            found="; ".join(pairs) + more,
            hint="remove these from one of the splits",
        )


def _digest(image: Pixels) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def _content_hash(split: Split) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(split.images).data)
    digest.update(np.ascontiguousarray(split.labels, dtype="<i8").data)
    return digest.hexdigest()


def _per_class(split: Split, classes: int) -> tuple[int, ...]:
    return tuple(np.bincount(split.labels, minlength=classes).tolist())


def _moments(images: Pixels) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Return mean and standard deviation per channel, exactly, from the counts of the 256 levels."""
    levels = np.arange(256) / 255
    mean, std = [], []
    for channel in range(3):
        share = np.bincount(images[..., channel].ravel(), minlength=256) / images[..., channel].size
        centre = float(share @ levels)
        mean.append(centre)
        std.append(float(np.sqrt(share @ (levels - centre) ** 2)))
    return (mean[0], mean[1], mean[2]), (std[0], std[1], std[2])
