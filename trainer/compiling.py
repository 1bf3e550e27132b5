"""A network that `torch.compile` has made faster code for."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

COMPILE = ("auto", "on", "off")

LONG = {"cpu": 600.0, "cuda": 60.0}
"""Training times [s] from which on compiling is tried: it takes half a minute and may bring a fifth."""
MANY = 1_000
"""Steps from which on the time of a training is estimated at all."""

WORTH_IT = 1.1
"""Factor by which it must be faster in the median: the code gives other bits, see `precision.WORTH_IT`."""
ROUNDS = 15
"""Of which: it is worth some seconds more than a precision, since it brings less."""

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
VECTOR = 16
"""Floats in AVX-512's vectors."""


class Compiled(nn.Module):
    """A module that runs compiled on batches as large as its first one, and as it is on others.

    Code is made for one size. The last batch of an epoch has another one, and compiling for that, too, would
    take longer than it brings.
    """

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.module = module
        self._size: int | None = None
        # On a GPU the launch of small kernels takes longer than they do: CUDA graphs launch them together.
        mode = "reduce-overhead" if device.type == "cuda" else None
        options: dict[str, Any] | None = {"cpp.simdlen": 256} if narrow(module, device) else None
        # In a tuple it is no submodule, which would be a second one with the same parameters.
        self._fast = (torch.compile(module, dynamic=False, mode=mode, options=options),)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return what the module returns for images (N, C, H, W)."""
        if self._size is None:
            self._size = len(images)
        scores: torch.Tensor = (self._fast[0] if len(images) == self._size else self.module)(images)
        return scores


def narrow(module: nn.Module, device: torch.device) -> bool:
    """Return whether code with half as long vectors is the faster one.

    Batch normalisation sums over the images' pixels for each channel. Where a vector holds more than the
    channels, torch 2.15 makes code that adds one number after the other in a single thread. With eight
    floats in a vector, a network of 8 to 16 channels takes 0.8 of the time; those of more channels 1.1.
    """
    norms = [part for part in module.modules() if isinstance(part, BATCH_NORMS)]
    wide = device.type == "cpu" and torch.backends.cpu.get_cpu_capability() == "AVX512"
    return wide and any(norm.num_features < VECTOR for norm in norms)
