"""Several processes that train one network: torchrun's, or this one alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from torch import distributed

from cifar_report.trainer.images import Labels

Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class Team:
    """This process's place among those that train together."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the run and talks."""
        return self.rank == 0

    def part(self, count: int) -> Labels:
        """Return this process's part of `count` indices; each index is in exactly one part."""
        return np.array_split(np.arange(count, dtype=np.int64), self.size)[self.rank]

    def sum(self, tensor: torch.Tensor) -> torch.Tensor:
        """Return the sum over all processes."""
        if self.size > 1:
            distributed.all_reduce(tensor)
        return tensor

    def meet(self) -> None:
        """Wait until all are here."""
        if self.size > 1:
            distributed.barrier()

    def tell(self, what: Told) -> Told:
        """Return what the leader calls with; the others' own is ignored."""
        if self.size == 1:
            return what
        box = [what]
        distributed.broadcast_object_list(box, src=0)
        return box[0]


ALONE = Team()


def asked_for() -> Team:
    """Return the place that torchrun gives this process; alone without it."""
    return Team(int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1)))


@contextmanager
def joined(device: str, *, alone: bool = False) -> Iterator[Team]:
    """Meet the other processes: over NCCL between GPUs, one for each, over gloo between CPUs.

    Args:
        device: `cpu` or `cuda`.
        alone: take the GPU that is this process's, but train without the others.
    """
    team = asked_for()
    if device == "cuda" and team.size > 1:
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    if alone or team.size == 1:
        yield ALONE
        return
    distributed.init_process_group("nccl" if device == "cuda" else "gloo")
    try:
        yield team
    finally:
        distributed.destroy_process_group()
