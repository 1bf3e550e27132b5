"""Batches of images that worker processes augment ahead, for pipelines that only albumentations can run."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import TracebackType

import torch
from torch.utils.data import DataLoader, Dataset

from cifar_report.trainer.augment import Augmenter
from cifar_report.trainer.images import Split
from cifar_report.trainer.plan import BatchPlan, EpochPlan

Tensors = tuple[torch.Tensor, torch.Tensor]


class AugmentedImages(Dataset[Tensors]):
    """A training split of which a plan asks whole batches."""

    def __init__(self, split: Split, augmenter: Augmenter) -> None:
        self._split = split
        self._augmenter = augmenter

    def __getitem__(self, plan: BatchPlan) -> Tensors:
        """Return images (B, H, W, C) uint8 and labels (B,) int64."""
        images = self._augmenter(self._split.images[plan.indices], plan.indices, plan.key)
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
