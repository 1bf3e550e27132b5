"""A network on its device: images in, scores out."""

from __future__ import annotations

import contextlib

import torch
from torch import nn

from cifar_report.analyzer.errors import ModelError
from cifar_report.trainer.compiling import Compiled
from cifar_report.trainer.dropout import FastDropout
from cifar_report.trainer.precision import DTYPES, FORMATS
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
        if team.size > 1 and self.device.type == "cuda":
            # Torch has none for CPUs: there each process normalises its own part of a batch.
            convert = nn.SyncBatchNorm.convert_sync_batchnorm
            self.module = convert(self.module)  # type: ignore[no-untyped-call]  # untyped in torch
        self._trained = self.module
        if config.extra.get("compiled"):
            self._trained = Compiled(self.module, self.device)
        if team.size > 1:
            self._trained = nn.parallel.DistributedDataParallel(self._trained)
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
