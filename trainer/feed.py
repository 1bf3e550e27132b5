"""Batches to train on, augmented by one of two back ends that a pipeline means the same to.

`torch` runs the pipeline's twins on whole batches, where the network trains: no workers, nothing to wait for.
`albumentations` runs the library itself in worker processes. Either way the batches of an epoch depend on
nothing but the data, the pipeline, the seed and the epoch's number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import torch

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.ahead import made_ahead
from cifar_report.trainer.augment import Augmenter
from cifar_report.trainer.images import Labels, Pixels, Split
from cifar_report.trainer.loader import AugmentedImages, Tensors, choose_workers, make_loader
from cifar_report.trainer.plan import BatchPlan, EpochPlan
from cifar_report.trainer.twins import TwinAugmenter, make_twins
from cifar_report.trainer.twins_rules import NoTwin

BACK_ENDS = ("auto", "torch", "albumentations")


class Augment(Protocol):
    """Augments images outside of the training, such as those for a picture."""

    def __call__(self, images: Pixels, indices: Labels, key: tuple[int, ...], /) -> Pixels:
        """Return augmented copies of `images` (B, H, W, C) uint8, which have these indices."""


class Feed(Protocol):
    """The training batches of a run."""

    back_end: str
    """`torch` or `albumentations`."""
    note: str
    """Why it isn't the back end that is the fastest; empty where it is."""
    augment: Augment
    plan: EpochPlan

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""

    def epoch(self, number: int) -> Iterator[Tensors]:
        """Yield images (B, H, W, C) uint8 and labels (B,) int64 of every batch of an epoch, from 1."""


def make_feed(
    split: Split,
    pipeline: Any,
    plan: EpochPlan,
    *,
    device: str = "cpu",
    back_end: str = "auto",
    workers: int | None = None,
) -> Feed:
    """Return the feed of a training split.

    Args:
        split: the images; they are read, not copied.
        pipeline: an `A.Compose` that ends in Normalize, which is left to the network's side.
        plan: the order; of several processes, each has its own.
        device: where `torch` augments and its batches lie. Those of `albumentations` lie in pinned memory.
        back_end: one of `BACK_ENDS`; `auto` is `torch` where every transform has a twin.
        workers: processes of `albumentations`; None chooses. The images are the same.

    Raises:
        UsageError: `torch` is asked for, and a transform has no twin.
    """
    height, width, channels = split.images.shape[1:]
    note = ""
    if back_end != "albumentations":
        try:
            twins = make_twins(pipeline.transforms[:-1], (channels, height, width))
            augmenter = TwinAugmenter(twins, len(split.labels), device)
            return _TorchFeed(split, augmenter, plan, device)
        except NoTwin as reason:
            if back_end == "torch":
                raise UsageError(
                    "the torch back end can't run this pipeline",
                    found=str(reason),
                    hint="leave the choice to auto, or take albumentations",
                ) from reason
            note = f"{reason}: albumentations augments in worker processes"
    return _WorkerFeed(split, Augmenter(pipeline), plan, device, workers, note)


class _TorchFeed:
    """Augments whole batches: on the CPU one ahead, in a thread; a GPU isn't waited for in any case."""

    back_end = "torch"
    note = ""

    def __init__(self, split: Split, augmenter: TwinAugmenter, plan: EpochPlan, device: str) -> None:
        self.augment: Augment = augmenter
        self.plan = plan
        self._augmenter = augmenter
        # On a GPU the whole split lies there; on the CPU these are the split's own bytes.
        self._images = torch.from_numpy(split.images).to(device)
        self._labels = torch.from_numpy(split.labels).to(device)

    def __len__(self) -> int:
        return len(self.plan)

    def epoch(self, number: int) -> Iterator[Tensors]:
        self.plan.epoch = number
        yield from (made_ahead if self._images.device.type == "cpu" else map)(self._make, self.plan)

    def _make(self, batch: BatchPlan) -> Tensors:
        rows = torch.from_numpy(batch.indices).to(self._images.device, non_blocking=True)
        images = self._images.index_select(0, rows)
        return self._augmenter.batch(images, batch.indices, batch.key), self._labels[rows]


class _WorkerFeed:
    """Has worker processes augment batches ahead."""

    back_end = "albumentations"

    def __init__(
        self, split: Split, augmenter: Augmenter, plan: EpochPlan, device: str, workers: int | None, note: str
    ) -> None:
        self.augment: Augment = augmenter
        self.note = note
        self.plan = plan
        count = choose_workers(device) if workers is None else workers
        self._loader = make_loader(AugmentedImages(split, augmenter), plan, count)

    def __len__(self) -> int:
        return len(self.plan)

    def epoch(self, number: int) -> Iterator[Tensors]:
        self.plan.epoch = number
        yield from self._loader
