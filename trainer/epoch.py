"""One epoch of training."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from cifar_report.analyzer.errors import ModelError
from cifar_report.trainer.feed import Feed
from cifar_report.trainer.listen import Listener, Step
from cifar_report.trainer.loader import Tensors
from cifar_report.trainer.network import Network
from cifar_report.trainer.optimize import one_cycle
from cifar_report.trainer.records import RunConfig

_NETWORK_STREAM = 3
"""Tells the randomness inside of the network, such as dropout, apart from the data's."""


@dataclass(slots=True)
class Tally:
    """Sums over the images of an epoch so far."""

    count: int = 0
    loss: float = 0.0
    correct: int = 0
    waited: float = 0.0
    """Time spent waiting for batches [s]."""
    seconds: float = 0.0
    learning_rate: float = 0.0

    @property
    def accuracy(self) -> float:
        """Percent of the images seen."""
        return 100 * self.correct / self.count


def train_epoch(
    network: Network,
    optimizer: torch.optim.Optimizer,
    feed: Feed,
    config: RunConfig,
    epoch: int,
    listener: Listener,
) -> Tally:
    """Train on every batch once. Reseeds torch's, numpy's and Python's generators from seed and epoch.

    Args:
        network: its weights change.
        optimizer: its learning rate follows the schedule.
        feed: of `feed.make_feed`.
        config: the run's recipe.
        epoch: counted from 1.
        listener: hears every step.

    Raises:
        ModelError: the loss is not a finite number; names epoch and step.
    """
    _seed_network(config.seed, epoch)
    network.module.train()
    tally, steps, begin = Tally(), len(feed), time.perf_counter()
    for step, (images, labels) in enumerate(_timed(feed.epoch(epoch), tally), start=1):
        tally.learning_rate = _set_rate(optimizer, (epoch - 1) * steps + step - 1, steps, config)
        labels = labels.to(network.device, non_blocking=True)
        scores = network.scores(images, half=True)
        loss = functional.cross_entropy(scores, labels, label_smoothing=config.label_smoothing)
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
        _count(tally, scores.detach(), labels)
        if not (math.isfinite(tally.loss) and math.isfinite(loss.item())):
            raise _not_finite(loss.item(), epoch, step, steps, tally.learning_rate)
        tally.seconds = time.perf_counter() - begin
        mean = tally.loss / tally.count
        rate = tally.count / tally.seconds
        listener.step(Step(epoch, config.epochs, step, steps, mean, tally.accuracy, rate))
    return tally


def _seed_network(seed: int, epoch: int) -> None:
    """Make the network's randomness a function of seed and epoch, so that resuming keeps no state."""
    words = np.random.SeedSequence((seed, epoch, _NETWORK_STREAM)).generate_state(3)
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


def _set_rate(optimizer: torch.optim.Optimizer, step: int, steps: int, config: RunConfig) -> float:
    rate = one_cycle(step, steps * config.epochs, config.schedule["peak"])
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate


def _count(tally: Tally, scores: torch.Tensor, labels: torch.Tensor) -> None:
    tally.count += len(labels)
    tally.loss += float(functional.cross_entropy(scores, labels, reduction="sum"))
    tally.correct += int((scores.argmax(dim=1) == labels).sum())


def _not_finite(loss: float, epoch: int, step: int, steps: int, rate: float) -> ModelError:
    return ModelError(
        f"training stopped: the loss is {loss} in epoch {epoch}, step {step} of {steps}",
        expected="a finite number",
        found=f"{loss} at learning rate {rate:.4g}",
        hint="a lower --lr",
    )
