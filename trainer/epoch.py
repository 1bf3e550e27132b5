"""One epoch of training."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from cifar_report.analyzer.errors import ModelError
from cifar_report.trainer.blame import first_not_finite
from cifar_report.trainer.feed import Feed
from cifar_report.trainer.listen import Listener, Step
from cifar_report.trainer.loader import Tensors
from cifar_report.trainer.mixing import Batch, mix
from cifar_report.trainer.network import Network
from cifar_report.trainer.objective import cross_entropies, distillation, hits
from cifar_report.trainer.records import RunConfig
from cifar_report.trainer.schedule import rate
from cifar_report.trainer.team import ALONE, Team

_NETWORK_STREAM = 3
"""Tells the randomness inside of the network, such as dropout, apart from the data's."""

_READ_EVERY = {"cpu": 1, "cuda": 50}
"""Steps between two looks at the sums: a look waits for a GPU."""

Results = tuple[torch.Tensor, torch.Tensor, torch.Tensor]
"""Objective, scores (B, classes) and plain cross-entropy of a batch."""


@dataclass(frozen=True, slots=True, eq=False)
class Trainee:
    """What learns, and what it learns with."""

    network: Network
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    """Does nothing but in float16."""
    average: AveragedModel | None = None
    teacher: Network | None = None


@dataclass(slots=True)
class Tally:
    """Sums over an epoch's images so far, those of all processes once it is over."""

    steps: int
    device: torch.device
    count: int = 0
    waited: float = 0.0
    """Time spent waiting for batches [s]."""
    seconds: float = 0.0
    learning_rate: float = 0.0
    sums: torch.Tensor = field(init=False)
    """Loss and hits, on the device."""
    objectives: torch.Tensor = field(init=False)
    """Of each step, on the device."""

    def __post_init__(self) -> None:
        self.sums = torch.zeros(2, dtype=torch.float64, device=self.device)
        self.objectives = torch.zeros(self.steps, device=self.device)

    @property
    def loss(self) -> float:
        """Mean per image."""
        return float(self.sums[0]) / self.count

    @property
    def accuracy(self) -> float:
        """Percent of the images seen."""
        return 100 * float(self.sums[1]) / self.count


def train_epoch(
    trainee: Trainee, feed: Feed, config: RunConfig, epoch: int, listener: Listener, team: Team = ALONE
) -> Tally:
    """Train on every batch once. Reseeds torch's, numpy's and Python's generators from seed and epoch.

    Args:
        trainee: its weights change, its learning rate follows the schedule.
        feed: of `feed.make_feed`.
        config: the run's recipe.
        epoch: counted from 1.
        listener: hears of the steps.
        team: the processes that train together.

    Raises:
        ModelError: the loss is not a finite number; names epoch, step and layer.
    """
    seed_network(config.seed, epoch, team.rank)
    network = trainee.network
    network.module.train()
    sizes, begin = feed.plan.sizes(), time.perf_counter()
    tally = Tally(len(sizes), network.device)
    for step, (images, labels) in enumerate(_timed(feed.epoch(epoch), tally), start=1):
        key = (config.seed, epoch, step, team.rank)
        batch = mix(Batch(images, labels.to(network.device)), config.mixup, config.cutmix, key)
        done = (epoch - 1) * tally.steps + step - 1
        tally.learning_rate = rate(done, config.epochs * tally.steps, config.schedule)
        results = objectives(trainee, batch, config)
        _count(tally, step, batch, results)
        look = step % _READ_EVERY[network.device.type] == 0 or step == tally.steps
        if look:
            _refuse_not_finite(tally, network, batch, epoch, step)
        # Each process has a part of the batch; DistributedDataParallel takes the mean over processes.
        mine = len(labels) * team.size / sizes[step - 1]
        update(trainee, results[0] * mine, config, tally.learning_rate)
        tally.seconds = time.perf_counter() - begin
        if look:
            listener.step(_heard(tally, config, epoch, step, team))
    return _together(tally, team)


def seed_network(seed: int, epoch: int, rank: int) -> None:
    """Make the network's randomness a function of seed and epoch, so that resuming keeps no state."""
    key = (seed, epoch, _NETWORK_STREAM, *([rank] if rank else []))
    words = np.random.SeedSequence(key).generate_state(3)
    torch.manual_seed(int(words[0]))
    np.random.seed(int(words[1]))
    random.seed(int(words[2]))


def _timed(batches: Iterator[Tensors], tally: Tally) -> Iterator[Tensors]:
    """Yield the batches and add up how long each was waited for."""
    begin = time.perf_counter()
    for batch in batches:
        tally.waited += time.perf_counter() - begin
        yield batch
        begin = time.perf_counter()


def objectives(trainee: Trainee, batch: Batch, config: RunConfig) -> Results:
    """Return what a step on this batch is to make small, the scores, and the plain cross-entropy."""
    scores = trainee.network.scores(batch.images, training=True)
    objective, plain = cross_entropies(scores, batch, config.label_smoothing)
    if trainee.teacher and config.teacher:
        with torch.no_grad():
            taught = trainee.teacher.scores(batch.images)
        weight = config.teacher["weight"]
        divergence = distillation(scores, taught, config.teacher["temperature"])
        objective = (1 - weight) * objective + weight * divergence
    return objective, scores, plain


def _count(tally: Tally, step: int, batch: Batch, results: Results) -> None:
    objective, scores, plain = results
    with torch.no_grad():
        tally.count += len(batch.labels)
        tally.sums += torch.stack([plain.double() * len(batch.labels), hits(scores, batch).double()])
        tally.objectives[step - 1] = objective


def update(trainee: Trainee, objective: torch.Tensor, config: RunConfig, learning_rate: float) -> None:
    """Take one step against the gradient."""
    optimizer, scaler = trainee.optimizer, trainee.scaler
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
    optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(scaler.scale(objective))
    if config.clip:
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(trainee.network.module.parameters(), config.clip)
    scaler.step(optimizer)
    scaler.update()
    if trainee.average is not None:
        trainee.average.update_parameters(trainee.network.module)


def _refuse_not_finite(tally: Tally, network: Network, batch: Batch, epoch: int, step: int) -> None:
    """Raise where an objective isn't finite, before this step's gradient reaches the weights."""
    wrong = (~tally.objectives[:step].isfinite()).nonzero()
    if len(wrong):
        first = int(wrong[0]) + 1
        loss = float(tally.objectives[first - 1])
        layer = first_not_finite(network.module, lambda: network.again(batch.images))
        raise ModelError(
            f"training stopped: the loss is {loss} in epoch {epoch}, step {first} of {tally.steps}",
            expected="a finite number",
            found=f"first of all {layer}; the learning rate was {tally.learning_rate:.4g}",
            hint="a lower --lr, or --clip 1",
        )


def _heard(tally: Tally, config: RunConfig, epoch: int, step: int, team: Team) -> Step:
    return Step(
        epoch=epoch,
        epochs=config.epochs,
        step=step,
        steps=tally.steps,
        loss=tally.loss,
        accuracy=tally.accuracy,
        images_per_second=team.size * tally.count / tally.seconds,
        data_wait=tally.waited / tally.seconds,
    )


def _together(tally: Tally, team: Team) -> Tally:
    """Return the tally of all processes; the time spent waiting is their mean."""
    numbers = torch.tensor([tally.count, tally.waited], dtype=torch.float64, device=tally.device)
    count, waited = team.sum(numbers).tolist()
    tally.sums = team.sum(tally.sums)
    tally.count, tally.waited = int(count), waited / team.size
    return tally
