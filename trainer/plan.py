"""Which images make which batch of which epoch: a function of the seed and the epoch's number alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch.utils.data import Sampler

from cifar_report.trainer.images import Labels

_ORDER, _AUGMENT = 0, 1
"""Tell the streams of one seed apart."""


@dataclass(frozen=True, slots=True, eq=False)
class BatchPlan:
    """Which images make a batch, and the key of their augmentation."""

    indices: Labels
    key: tuple[int, ...]


class EpochPlan(Sampler[BatchPlan]):
    """The batches of one epoch: every image once, in an order drawn from seed and epoch.

    Of several processes each gets a part of every batch, which together are the batch that one would get.
    """

    def __init__(self, count: int, batch_size: int, seed: int, rank: int = 0, world_size: int = 1) -> None:
        self.epoch = 1
        self._count = count
        self._seed = seed
        self._rank = rank
        self._world_size = world_size
        self._cuts = list(range(batch_size, count, batch_size))
        # Batch normalisation can't train on a single image, and here each process needs two: a last batch
        # that is too small joins the one before.
        if self._cuts and count - self._cuts[-1] < 2 * world_size:
            self._cuts.pop()

    def __len__(self) -> int:
        return len(self._cuts) + 1

    def __iter__(self) -> Iterator[BatchPlan]:
        order = np.random.default_rng((self._seed, self.epoch, _ORDER)).permutation(self._count)
        for batch in np.split(order, self._cuts):
            mine = np.array_split(batch, self._world_size)[self._rank]
            yield BatchPlan(mine, (self._seed, self.epoch, _AUGMENT))

    def sizes(self) -> list[int]:
        """Return how many images each batch has over all processes."""
        ends = [*self._cuts, self._count]
        return [end - start for start, end in zip([0, *self._cuts], ends, strict=True)]
