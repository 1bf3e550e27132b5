"""What the analyzer says that layers see, beside what the gradient of a middle unit reaches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import nn
from torchvision.ops import SqueezeExcitation

from cifar_report.analyzer import analyze
from cifar_report.analyzer.analysis import ReceptiveField
from tests.analyzer import oracles

WINDOWS = nn.Conv2d | nn.ConvTranspose2d | nn.MaxPool2d | nn.AvgPool2d


@dataclass(frozen=True)
class Seen:
    """One layer along one axis of the image."""

    layer: str
    axis: int
    length: int
    """Of the image along this axis [px]."""
    field: ReceptiveField
    """What the analyzer says."""
    extent: oracles.Extent
    """First and last pixel that the gradient reaches."""

    @property
    def reached(self) -> int:
        """Return how many pixels that is."""
        return self.extent[1] - self.extent[0] + 1

    @property
    def clipped(self) -> bool:
        """Return whether the image may end before the field does."""
        return self.extent[0] <= 0 or self.extent[1] >= self.length - 1

    @property
    def equal(self) -> bool:
        """Return whether both say the same: of the field, or where it is clipped, of its visible part."""
        if self.field.size is None or self.field.visible is None:
            return False
        whole = self.clipped or self.field.size[self.axis] == self.reached
        return whole and self.field.visible[self.axis] == self.reached


def windows_of(network: nn.Module) -> list[str]:
    """Return the names of a network's convolutions and pools."""
    return [name for name, module in network.named_modules() if isinstance(module, WINDOWS)]


def gates(network: nn.Module) -> list[str]:
    """Return the names of the layers whose maps enter squeeze-and-excitation, in order."""
    found = []
    for path, module in network.named_modules():
        children = list(module.named_children())
        for (before, _), (_, gate) in pairwise(children):
            if isinstance(gate, SqueezeExcitation):
                found.append(f"{path}.{before}")
    return found


def widened(network: nn.Module) -> nn.Module:
    """Make every window two taps wider than it is high, in place; maps keep their sizes.

    Tests on square kernels can't tell the axes apart.
    """
    for module in network.modules():
        if not isinstance(module, WINDOWS):
            continue
        kernel, padding, dilation = (
            _pair(getattr(module, setting, 1)) for setting in ("kernel_size", "padding", "dilation")
        )
        if isinstance(module, nn.ConvTranspose2d) or max(kernel) == 1:
            continue
        module.kernel_size = (kernel[0], kernel[1] + 2)
        module.padding = (padding[0], padding[1] + dilation[1])
        if isinstance(module, nn.Conv2d):
            shape = (*module.weight.shape[:2], *module.kernel_size)
            module.weight = nn.Parameter(module.weight.detach().new_ones(()).expand(shape))
            module._reversed_padding_repeated_twice = [s for p in module.padding[::-1] for s in (p, p)]
    return network


def _pair(setting: int | tuple[int, int]) -> tuple[int, int]:
    return (setting, setting) if isinstance(setting, int) else setting


def compare(
    network: nn.Module, layers: Sequence[str], thin: int = 64, length: int = 256, longest: int = 4096
) -> list[Seen]:
    """Look at every layer along both axes, on images that are long along one of them.

    What a unit sees along one axis doesn't depend on how far the image goes on along another, unless it
    sees everything. The image is made longer until every field ends on it, or it is `longest`. Layers
    that the network doesn't call in eval mode are left out.
    """
    found = []
    for axis in (0, 1):
        size, shape = length, (3, length, thin) if axis == 0 else (3, thin, length)
        while size < longest and _clipped(network, layers, shape, axis):
            size = min(2 * size, longest)
            shape = (3, size, thin) if axis == 0 else (3, thin, size)
        extents = _extents(network, layers, shape, axis)
        ours: dict[str, ReceptiveField] = {}
        for row in analyze(network, shape).layers:
            ours.setdefault(row.name, row.receptive_field)
        found += [Seen(name, axis, size, ours[name], extents[name]) for name in extents]
    return found


def _clipped(network: nn.Module, layers: Sequence[str], shape: tuple[int, ...], axis: int) -> bool:
    """Return whether an image ends before what a few of the layers see does; the last one sees most."""
    extents = _extents(network, layers[:: -max(len(layers) // 8, 1)], shape, axis)
    return any(first <= 0 or last >= shape[1 + axis] - 1 for first, last in extents.values())


def _extents(
    network: nn.Module, layers: Sequence[str], shape: tuple[int, ...], axis: int
) -> dict[str, oracles.Extent]:
    image = torch.ones(1, *shape, dtype=torch.float64, requires_grad=True)
    seen, _ = oracles.linear_outputs(network, image, layers)
    return {
        name: oracles.extent(oracles.footprint(oracles.middle(outputs[0], (2, 3)), image)[axis])
        for name, outputs in seen.items()
    }
