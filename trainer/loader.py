"""Batches of augmented images, made ahead in worker processes.

What a batch holds depends on the seed, the epoch and its place in the epoch, on nothing else: not
on how many workers there are, nor on which of them makes it. No two batches share a random stream.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from cifar_report.trainer.augment import Augmenter
from cifar_report.trainer.images import Split

_ORDER, _AUGMENT = 0, 1
"""Tell the streams of one seed apart."""

Tensors = tuple[torch.Tensor, torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class BatchPlan:
    """Which images make a batch, and the seed of their augmentation."""

    indices: NDArray[np.int64]
    seed: tuple[int, ...]


class EpochPlan(Sampler[BatchPlan]):
    """The batches of one epoch: every image once, in an order drawn from seed and epoch."""

    def __init__(self, count: int, batch_size: int, seed: int) -> None:
        self.epoch = 1
        self._count = count
        self._seed = seed
        self._cuts = list(range(batch_size, count, batch_size))
        # Batch normalisation can't train on a single image: it joins the batch before.
        if self._cuts and count - self._cuts[-1] == 1:
            self._cuts.pop()

    def __len__(self) -> int:
        return len(self._cuts) + 1

    def __iter__(self) -> Iterator[BatchPlan]:
        order = np.random.default_rng((self._seed, self.epoch, _ORDER)).permutation(self._count)
        for number, indices in enumerate(np.split(order, self._cuts)):
            yield BatchPlan(indices, (self._seed, self.epoch, _AUGMENT, number))


class AugmentedImages(Dataset[Tensors]):
    """A training split of which a plan asks whole batches."""

    def __init__(self, split: Split, augmenter: Augmenter | None) -> None:
        self._split = split
        self._augmenter = augmenter

    def __getitem__(self, plan: BatchPlan) -> Tensors:
        """Return images (B, H, W, 3) uint8 and labels (B,) int64."""
        images = self._split.images[plan.indices]
        if self._augmenter:
            images = self._augmenter(images, plan.seed)
        return torch.from_numpy(images), torch.from_numpy(self._split.labels[plan.indices])


def choose_workers(device: str) -> int:
    """Return how many processes augment: one augments faster than eight cores train."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if cores == 1:
        return 0
    return min(cores - 1, 12) if device == "cuda" else max(1, cores // 8)


def make_loader(images: AugmentedImages, plan: EpochPlan, workers: int) -> DataLoader[Tensors]:
    """Return a loader of the batches that `plan` lists; its workers live until it is dropped."""
    return DataLoader(
        images,
        sampler=plan,
        batch_size=None,
        num_workers=workers,
        worker_init_fn=_start_worker,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        pin_memory=torch.cuda.is_available(),
        # The loader draws a number of its own; drawn from the global generator, it would change dropout.
        generator=torch.Generator(),
    )


def _start_worker(worker: int) -> None:
    """Leave Ctrl-C to the parent, and the other cores to the network."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.excepthook = without_lost_connections(sys.excepthook)
    cv2.setNumThreads(0)


Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]


def without_lost_connections(hook: Hook) -> Hook:
    """Return a hook that says nothing of a connection that the other side gave up.

    A worker hands tensors over from a thread, which prints a traceback when the parent stops half way,
    as it does on Ctrl-C. What fails in the pipeline itself reaches the parent in another way.
    """

    def quiet(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if not issubclass(kind, ConnectionError | EOFError):
            hook(kind, error, traceback)

    return quiet
