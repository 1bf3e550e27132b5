"""A plain residual network that meets every structural constraint of the assignment `eva6-s7-late`."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def _conv_norm(in_channels: int, out_channels: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    conv = nn.Conv2d(in_channels, out_channels, 3, stride=stride, padding=1, bias=False)
    return conv, nn.BatchNorm2d(out_channels)


def _separable(channels: int, dilation: int = 1) -> tuple[nn.Module, ...]:
    depthwise = nn.Conv2d(
        channels, channels, 3, padding=dilation, dilation=dilation, groups=channels, bias=False
    )
    pointwise = nn.Conv2d(channels, channels, 1, bias=False)
    return depthwise, nn.BatchNorm2d(channels), nn.ReLU(), pointwise, nn.BatchNorm2d(channels)


class Residual(nn.Module):
    """Add what some layers compute to their input, and let the sum through a ReLU.

    Args:
        layers: in order; together they keep the shape.
    """

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the shape that came in."""
        return functional.relu(maps + self.layers(maps))


class Net(nn.Module):
    """Three levels of 32, 48 and 64 channels, each change of level a 3x3 convolution with stride 2.

    Dense 3x3 convolutions where they cost few parameters, depthwise separable ones elsewhere; the last
    of each of the two lower levels is dilated. Class scores are computed on the map, so that nothing
    stands behind global average pooling.

    Args:
        num_classes: number of class scores.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.level1 = nn.Sequential(*_conv_norm(3, 32), nn.ReLU(), Residual(*_separable(32)))
        self.level2 = nn.Sequential(
            *_conv_norm(32, 48, stride=2),
            nn.ReLU(),
            Residual(*_conv_norm(48, 48)),
            Residual(*_separable(48)),
            Residual(*_separable(48, dilation=2)),
        )
        self.level3 = nn.Sequential(
            *_conv_norm(48, 64, stride=2),
            nn.ReLU(),
            Residual(*_separable(64)),
            Residual(*_separable(64)),
            Residual(*_separable(64, dilation=2)),
        )
        self.scores = nn.Conv2d(64, num_classes, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores `(N, num_classes)` for images `(N, 3, H, W)`."""
        maps = self.level3(self.level2(self.level1(images)))
        return self.pool(self.scores(maps)).flatten(1)  # type: ignore[no-any-return]  # untyped modules
