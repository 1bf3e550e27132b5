"""The network for the assignment `eva6-s7-late` that ships with its weights: gated residual blocks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Gated(nn.Module):
    """Add to the maps what a gated, depthwise separable convolution finds in them; the shape is kept.

    A 1x1 convolution makes values and gates, the depthwise one looks around, another 1x1 mixes.

    Args:
        channels: of the maps.
        dilation: of the depthwise 5x5 kernel.
    """

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.values_and_gates = nn.Conv2d(channels, 2 * channels, 1)
        self.depthwise = nn.Conv2d(
            channels, channels, 5, padding=2 * dilation, dilation=dilation, groups=channels, bias=False
        )
        self.activation = nn.Sequential(nn.BatchNorm2d(channels), nn.SiLU())
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the shape that came in."""
        values, gates = self.values_and_gates(self.norm(maps)).chunk(2, dim=1)
        # As nn.GLU, whose backward pass is three times slower in channels last.
        gated = values * torch.sigmoid(gates)
        return maps + self.pointwise(self.activation(self.depthwise(gated)))  # type: ignore[no-any-return]  # untyped modules


def _norm_act(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.SiLU()


def _halve_separably(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    depthwise = nn.Conv2d(in_channels, in_channels, 3, stride=2, padding=1, groups=in_channels, bias=False)
    return depthwise, nn.BatchNorm2d(in_channels), nn.Conv2d(in_channels, out_channels, 1, bias=False)


class Net(nn.Module):
    """Four levels of 24, 56, 72 and 72 channels, each change of level a 3x3 convolution with stride 2.

    Most of the work is done at a half and a quarter of the image's side, where a block sees enough and
    costs little. Class scores are computed on the map, so that nothing stands behind global average
    pooling.

    Args:
        num_classes: number of class scores.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.level1 = nn.Sequential(nn.Conv2d(3, 24, 3, padding=1, bias=False), *_norm_act(24))
        self.level2 = nn.Sequential(
            nn.Conv2d(24, 56, 3, stride=2, padding=1, bias=False),
            Gated(56),
            Gated(56),
            Gated(56, dilation=2),
            *_norm_act(56),
        )
        self.level3 = nn.Sequential(*_halve_separably(56, 72), Gated(72), Gated(72), *_norm_act(72))
        self.level4 = nn.Sequential(*_halve_separably(72, 72), *_norm_act(72))
        self.scores = nn.Conv2d(72, num_classes, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores `(N, num_classes)` for images `(N, 3, H, W)`."""
        maps = self.level4(self.level3(self.level2(self.level1(images))))
        return self.pool(self.scores(maps)).flatten(1)  # type: ignore[no-any-return]  # untyped modules
