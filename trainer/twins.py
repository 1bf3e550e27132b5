"""A pipeline as batched torch operations: each transform's twin, built from the transform's own attributes.

Twins work on whole batches, on the CPU or a GPU, where albumentations works on one image at a time. Between
two transforms images are bytes, as they are in albumentations. What happens to an image depends on the key
(seed, epoch, ...) and the image's index in the data set: not on the batch size, the batch's other images, the
number of processes or the device.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from cifar_report.trainer.images import Labels, Pixels
from cifar_report.trainer.twins_dropout import DROPOUT
from cifar_report.trainer.twins_frame import FRAME
from cifar_report.trainer.twins_geometry import GEOMETRY
from cifar_report.trainer.twins_pixels import PIXELS
from cifar_report.trainer.twins_rules import NoTwin, Shape, Twin

RULES = {**GEOMETRY, **FRAME, **DROPOUT, **PIXELS}
"""By a transform's class, a function of the transform and the images' shape that returns its twin."""

Drawn = tuple[torch.Tensor, torch.Tensor]
"""Which images a transform hits (N,) bool, on the CPU, and its parameters for each (N, M), on the device."""


def make_twins(transforms: Sequence[Any], shape: Shape) -> list[Twin]:
    """Return the twins of transforms in order.

    Args:
        transforms: of an `A.Compose`, without its Normalize.
        shape: (C, H, W) of the images.

    Raises:
        NoTwin: one has none; says which and why.
    """
    twins: list[Twin] = []
    for transform in transforms:
        twins.append(make_twin(transform, shape))
        shape = twins[-1].shape or shape
    return twins


def make_twin(transform: Any, shape: Shape) -> Twin:
    """Return the twin of a transform for images of a shape; raises NoTwin."""
    name = type(transform).__name__
    if name not in RULES:
        raise NoTwin(f"{name} has no batched twin")
    return RULES[name](transform, shape)


class TwinAugmenter:
    """Runs twins on batches of a data set of `count` images."""

    def __init__(self, twins: Sequence[Twin], count: int, device: str = "cpu") -> None:
        self._twins = tuple(twins)
        self._count = count
        self._device = torch.device(device)
        self._key: tuple[int, ...] = ()
        self._drawn: list[Drawn] = []

    def __call__(self, images: Pixels, indices: Labels, key: tuple[int, ...]) -> Pixels:
        """Return augmented copies of `images` (B, H, W, C) uint8, which have these indices."""
        batch = torch.from_numpy(images).to(self._device)
        return self.batch(batch, indices, key).cpu().numpy()

    def batch(self, images: torch.Tensor, indices: Labels, key: tuple[int, ...]) -> torch.Tensor:
        """Return augmented copies of `images` (B, H, W, C) uint8 on the twins' device."""
        if key != self._key:
            self._drawn = [self._draw(twin, (*key, place)) for place, twin in enumerate(self._twins)]
            self._key = key
        planes = _planar(images)
        chosen = torch.from_numpy(indices)
        for twin, drawn in zip(self._twins, self._drawn, strict=True):
            planes = self._apply(twin, drawn, planes, chosen)
        return torch.stack(planes.unbind(1), dim=3)

    def _draw(self, twin: Twin, key: tuple[int, ...]) -> Drawn:
        """Draw for the whole data set at once; row i is image i's, whatever its batch."""
        uniform = np.random.default_rng(key).random((self._count, 1 + twin.draws))
        parameters = twin.parameters(uniform[:, 1:]).astype(np.float32)
        return torch.from_numpy(uniform[:, 0] < twin.p), torch.from_numpy(parameters).to(self._device)

    def _apply(self, twin: Twin, drawn: Drawn, planes: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        """Transform the images that are hit; which ones is known on the CPU, so a GPU isn't waited for."""
        hit, parameters = drawn
        places = hit[indices].nonzero()[:, 0]
        rows = self._there(indices[places])
        if len(places) == len(indices):
            return twin.apply(planes, parameters[rows])
        if len(places):
            there = self._there(places)
            some = planes.index_select(0, there)
            planes.index_copy_(0, there, twin.apply(some, parameters[rows]))
        return planes

    def _there(self, numbers: torch.Tensor) -> torch.Tensor:
        return numbers.to(self._device, non_blocking=True)


def _planar(images: torch.Tensor) -> torch.Tensor:
    """Return a copy of (B, H, W, C) as (B, C, H, W), plane by plane: permuting takes ten times as long."""
    return torch.stack(images.unbind(3), dim=1)
