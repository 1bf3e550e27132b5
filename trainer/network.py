"""A network on its device: images in, scores out, and what must hold before it is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from cifar_report.analyzer.errors import ModelError, Problem
from cifar_report.trainer.dropout import FastDropout
from cifar_report.trainer.precision import DTYPES, FORMATS, Speed, fastest, measure
from cifar_report.trainer.records import RunConfig
from cifar_report.trainer.team import ALONE, Team


class Network:
    """A module with the normalisation of its images and the way it computes while it trains.

    Networks that return log-probabilities train like those that return logits: cross-entropy
    begins with log-softmax, which leaves log-probabilities as they are.
    """

    def __init__(self, module: nn.Module, config: RunConfig, team: Team = ALONE) -> None:
        self.device = torch.device(config.device)
        self.classes = len(config.data.classes)
        self._format = FORMATS[config.extra.get("memory_format", "channels_last")]
        # A no-op for modules without 4-dimensional weights; convolutions keep the layout of these.
        self.module = module.to(self.device, memory_format=self._format)  # type: ignore[call-overload]  # not in its type
        self._trained = self.module
        if team.size > 1:
            if self.device.type == "cuda":
                # Torch has none for CPUs: there each process normalises its own part of a batch.
                convert = nn.SyncBatchNorm.convert_sync_batchnorm
                self.module = convert(self.module)  # type: ignore[no-untyped-call]  # untyped in torch
            self._trained = nn.parallel.DistributedDataParallel(self.module)
        self._dtype = DTYPES.get(config.precision)
        mean, std = (torch.tensor(values, device=self.device) for values in (config.mean, config.std))
        self._scale = (1 / (255 * std)).view(1, -1, 1, 1)
        self._shift = (-mean / std).view(1, -1, 1, 1)

    def scores(self, images: torch.Tensor, *, training: bool = False) -> torch.Tensor:
        """Return float32 scores (N, classes) for images (N, H, W, C) with levels in 0..255.

        Args:
            images: uint8 or float, on any device.
            training: compute as the recipe says, and with the other processes; evaluation is in
                float32 always, so that the weights give the same figures on any machine.
        """
        return self._run(self._trained if training else self.module, images, half=training)

    def again(self, images: torch.Tensor) -> torch.Tensor:
        """Return what `scores` returns in training, computed in this process alone."""
        return self._run(self.module, images, half=True)

    def _run(self, module: nn.Module, images: torch.Tensor, half: bool) -> torch.Tensor:
        # Height, width, channel in memory, seen as (N, C, H, W): that is channels_last already.
        pixels = images.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        normal = torch.addcmul(self._shift, pixels.float(), self._scale)
        normal = normal.contiguous(memory_format=self._format)
        with (
            torch.autocast(self.device.type, self._dtype, enabled=half and self._dtype is not None),
            FastDropout() if self.device.type == "cpu" and module.training else contextlib.nullcontext(),
        ):
            scores: torch.Tensor = module(normal)
        self._expect(scores, len(images))
        return scores.float()

    def _expect(self, scores: object, count: int) -> None:
        found = str(tuple(scores.shape)) if isinstance(scores, torch.Tensor) else type(scores).__name__
        if found != str((count, self.classes)):
            raise ModelError(
                "the network's output does not fit the data",
                expected=f"one tensor (images, classes) = {(count, self.classes)}",
                found=found,
                hint=f"the data has {self.classes} classes; the last layer needs as many outputs",
            )


def try_out(network: Network, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Run one evaluation and one training step on a few images, and undo what they change.

    Raises:
        ModelError: the network's output doesn't fit, or it fails forwards or backwards.
    """
    with _restored(network.module), _as_model_errors():
        network.module.eval()
        with torch.no_grad():
            network.scores(images)
        network.module.train()
        _step(network, images, labels)


def choose_speed(
    module: nn.Module, config: RunConfig, ways: list[Speed], images: torch.Tensor, labels: torch.Tensor
) -> Speed:
    """Return the fastest way to train a network, measured where there is a choice; changes no weight.

    Args:
        module: the network.
        config: a recipe, of which precision and memory format are left open.
        ways: of `precision.candidates`.
        images: some, (N, H, W, C) uint8.
        labels: theirs, (N,).

    Raises:
        ModelError: the network fails.
    """
    if len(ways) == 1:
        return ways[0]

    def step(way: Speed) -> None:
        extra = {**config.extra, "memory_format": way.memory_format}
        _step(Network(module, replace(config, precision=way.precision, extra=extra)), images, labels)
        if config.device == "cuda":
            torch.cuda.synchronize()

    with _restored(module), _as_model_errors():
        module.train()
        return fastest(measure(ways, step))


def _step(network: Network, images: torch.Tensor, labels: torch.Tensor) -> None:
    scores = network.scores(images, training=True)
    torch.autograd.backward(functional.cross_entropy(scores, labels.to(network.device)))


@contextlib.contextmanager
def _restored(module: nn.Module) -> Iterator[None]:
    """Put weights, buffers, gradients and random state back."""
    before = {
        name: value.clone() for name, value in module.state_dict().items() if isinstance(value, torch.Tensor)
    }
    with torch.random.fork_rng():
        try:
            yield
        finally:
            module.load_state_dict(before, strict=False)
            module.zero_grad(set_to_none=True)


@contextlib.contextmanager
def _as_model_errors() -> Iterator[None]:
    try:
        yield
    except Problem:
        raise
    # The network is the user's code and may raise anything.
    except Exception as error:
        raise ModelError(
            "the network fails on a batch of training images",
            expected="forward and backward to run on the data's images",
            found=f"{type(error).__name__}: {error}",
        ) from error
