"""Finding a learning rate for a network: a sweep over a few hundred batches of its own training."""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import replace

from torch import nn

from cifar_report.analyzer.errors import ModelError
from cifar_report.trainer.blame import first_not_finite
from cifar_report.trainer.epoch import objectives, seed_network, update
from cifar_report.trainer.images import ImageData
from cifar_report.trainer.listen import Listener
from cifar_report.trainer.mixing import Batch, mix
from cifar_report.trainer.options import Options
from cifar_report.trainer.rate_sweep import STEPS, Sweep, rates, sweep
from cifar_report.trainer.teacher import Teacher
from cifar_report.trainer.team import ALONE
from cifar_report.trainer.work import Work, new_work


def find_rate(
    module: nn.Module,
    data: ImageData,
    options: Options,
    listener: Listener,
    *,
    teacher: Teacher | None = None,
    steps: int = STEPS,
) -> Sweep:
    """Sweep the learning rate with the augmentation, optimizer and losses of a run; begins none.

    Reseeds the global random generators. A copy is trained: the module's weights stay as they are.

    Raises:
        UsageError: an option doesn't fit.
        ModelError: the network can't be copied, doesn't fit the data, fails, or its loss is not finite
            before the first step.
    """
    work = new_work(_copy(module), data, replace(options, compile="off"), teacher, ALONE, listener)
    for note in work.notes:
        listener.note(note)
    chosen = rates(steps=steps)
    learner = _Learner(work)
    told = itertools.count(1)

    def step(rate: float) -> float:
        loss = learner.step(rate)
        listener.work("trying learning rates", next(told), len(chosen))
        return loss

    return sweep(step, chosen)


class _Learner:
    """Takes one step after another, each on the next batch, and remembers what the last one led to."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._batches = itertools.chain.from_iterable(map(work.feed.epoch, itertools.count(1)))
        self._number = itertools.count(1)
        seed_network(work.config.seed, 1, 0)
        work.trainee.network.module.train()
        batch = self._next()
        self._objective = objectives(work.trainee, batch, work.config)[0]
        if not math.isfinite(self._objective.item()):
            network = work.trainee.network
            raise ModelError(
                "the network's loss is not finite before any training",
                expected="a finite number",
                found=first_not_finite(network.module, lambda: network.again(batch.images)),
            )

    def step(self, rate: float) -> float:
        """Learn from the batch that was looked at last; return the objective on the next one."""
        update(self._work.trainee, self._objective, self._work.config, rate)
        self._objective = objectives(self._work.trainee, self._next(), self._work.config)[0]
        return self._objective.item()

    def _next(self) -> Batch:
        images, labels = next(self._batches)
        config = self._work.config
        key = (config.seed, 1, next(self._number), 0)
        batch = Batch(images, labels.to(self._work.trainee.network.device))
        return mix(batch, config.mixup, config.cutmix, key)


def _copy(module: nn.Module) -> nn.Module:
    try:
        return copy.deepcopy(module)
    # A copy runs the network's own code and may raise anything.
    except Exception as error:
        raise ModelError(
            "the network can't be copied, and the copy is what rates are tried on",
            expected="a module that copy.deepcopy can copy",
            found=f"{type(error).__name__}: {error}",
        ) from error
