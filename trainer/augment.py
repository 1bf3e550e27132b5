"""The assignment's augmentation, declared once as an albumentations pipeline.

What the spellings in the source documents mean to albumentations 2.0.8: `ShiftScaleRotate` is an
`Affine` with these ranges; `CoarseDropout` takes ranges and ignores the old arguments; a fill in
0..1 is black on uint8 images, so the mean is given in 0..255.
"""

from __future__ import annotations

import os
import random
from importlib.metadata import version
from typing import Any

import numpy as np

from cifar_report.trainer.extras import load_extra
from cifar_report.trainer.images import Labels, Pixels
from cifar_report.trainer.records import Augmentation, DataFacts, Transform


def load_albumentations() -> Any:
    """Import albumentations without its question to the package index whether it is out of date.

    Raises:
        UsageError: it is not installed.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    return load_extra("albumentations", "train")


def assignment_pipeline(data: DataFacts, *, mirror: bool) -> Any:
    """Return the assignment's `A.Compose` for images of this data set.

    Args:
        data: its mean fills the holes, its mean and deviation normalise.
        mirror: False leaves HorizontalFlip out, for signs that a mirror changes.
    """
    A = load_albumentations()  # noqa: N806 - the name that albumentations' users know it by
    import cv2

    flip = [A.HorizontalFlip(p=0.3)] if mirror else []
    return A.Compose(
        [
            *flip,
            A.Affine(
                translate_percent={"x": (-0.1, 0.1), "y": (-0.1, 0.1)},
                scale=(0.9, 1.1),
                rotate=(-30, 30),
                interpolation=cv2.INTER_LINEAR,
                border_mode=cv2.BORDER_REFLECT_101,
                p=0.5,
            ),
            A.CoarseDropout(
                num_holes_range=(1, 1),
                hole_height_range=(16, 16),
                hole_width_range=(16, 16),
                fill=tuple(round(255 * value) for value in data.mean),
                p=0.5,
            ),
            A.ToGray(p=0.1),
            A.Normalize(mean=data.mean, std=data.std),
        ]
    )


def describe(pipeline: Any) -> Augmentation:
    """Return the pipeline as albumentations holds it."""
    record = load_albumentations().to_dict(pipeline)
    rows = [dict(row) for row in record["transform"]["transforms"]]
    return Augmentation(
        library=f"albumentations {version('albumentations')}",
        transforms=tuple(Transform(name=row.pop("__class_fullname__"), parameters=row) for row in rows),
        pipeline=record,
    )


class Augmenter:
    """Runs a pipeline up to, not including, its final Normalize, on uint8 images.

    Normalising a whole batch at once later is the same arithmetic, and bytes are a quarter of the
    floats to pass between processes.
    """

    def __init__(self, pipeline: Any) -> None:
        A = load_albumentations()  # noqa: N806
        *augmentations, last = pipeline.transforms
        if not isinstance(last, A.Normalize):
            raise ValueError(f"the pipeline ends in {type(last).__name__}, not in Normalize")
        self._compose = A.Compose(augmentations)

    def __call__(self, images: Pixels, indices: Labels, key: tuple[int, ...]) -> Pixels:
        """Return augmented copies of `images` (B, H, W, C), which have these indices in the data set.

        What happens to an image depends on the key (seed, epoch, ...) and its index, on nothing else: not on
        the batch, nor on the process that it is made in.

        All transforms draw from one stream. Left to itself, or given a seed by `set_random_seed`,
        albumentations gives each transform a stream of its own from one and the same seed: their
        draws agree, and ToGray (p=0.1) then only ever hits images that HorizontalFlip (p=0.3) hit.
        """
        numbers = np.random.Philox(np.random.SeedSequence(key))
        start = numbers.state
        first, second = map(int, start["state"]["key"])
        words = random.Random()
        self._compose.set_random_state(np.random.Generator(numbers), words)
        augmented = []
        for image, index in zip(images, indices.tolist(), strict=True):
            # A counter of 256 bits, of which no image uses up 64.
            start["state"]["counter"][1] = index
            numbers.state = start
            words.seed((first << 128) | (second << 64) | index)
            augmented.append(self._compose(image=image)["image"])
        return np.stack(augmented)
