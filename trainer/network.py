"""A network on its device: images in, scores out, and what must hold before it is trained."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional

from cifar_report.analyzer.errors import ModelError, Problem
from cifar_report.trainer.records import RunConfig


class Network:
    """A module with the normalisation of its images and the precision of its training.

    Networks that return log-probabilities train like those that return logits: cross-entropy
    begins with log-softmax, which leaves log-probabilities as they are.
    """

    def __init__(self, module: nn.Module, config: RunConfig) -> None:
        self.device = torch.device(config.device)
        # A no-op for modules without 4-dimensional weights; convolutions keep the layout of these.
        self.module = module.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.classes = len(config.data.classes)
        self._half = config.precision == "bfloat16"
        mean, std = (
            torch.tensor(values, device=self.device) for values in (config.data.mean, config.data.std)
        )
        self._scale = (1 / (255 * std)).view(1, 3, 1, 1)
        self._shift = (-mean / std).view(1, 3, 1, 1)

    def scores(self, images: torch.Tensor, *, half: bool = False) -> torch.Tensor:
        """Return float32 scores (N, classes) for uint8 images (N, H, W, 3).

        Args:
            images: on any device.
            half: compute in bfloat16 where the recipe says so; evaluation never does, so that the
                weights give the same figures on any machine.
        """
        # Height, width, channel in memory, seen as (N, C, H, W): that is channels_last already.
        pixels = images.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        normal = torch.addcmul(self._shift, pixels.float(), self._scale)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=half and self._half):
            scores: torch.Tensor = self.module(normal)
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
    module = network.module
    with _restored(module), _as_model_errors():
        module.eval()
        with torch.no_grad():
            network.scores(images)
        module.train()
        scores = network.scores(images, half=True)
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
            expected="forward and backward to run on images (N, 3, 32, 32)",
            found=f"{type(error).__name__}: {error}",
        ) from error
