"""A network for the assignment `eva5-s7`: four blocks with max pools between them, and no skips."""

from __future__ import annotations

from torch import Tensor, nn


def _norm_relu(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU()


def _conv(in_channels: int, out_channels: int, dilation: int = 1) -> tuple[nn.Module, ...]:
    conv = nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation, bias=False)
    return conv, *_norm_relu(out_channels)


def _separable(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    depthwise = nn.Conv2d(in_channels, in_channels, 3, padding=1, groups=in_channels, bias=False)
    pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
    return depthwise, nn.BatchNorm2d(in_channels), pointwise, *_norm_relu(out_channels)


class Net(nn.Module):
    """Four blocks that end in 24, 64, 128 and 128 channels; every other convolution is depthwise separable.

    Args:
        num_classes: number of class scores.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.block1 = nn.Sequential(*_conv(3, 16), *_conv(16, 24))
        self.pool1 = nn.MaxPool2d(2)
        self.block2 = nn.Sequential(*_conv(24, 48), *_separable(48, 64))
        self.pool2 = nn.MaxPool2d(2)
        self.block3 = nn.Sequential(*_conv(64, 96, dilation=2), *_separable(96, 128))
        self.pool3 = nn.MaxPool2d(2)
        self.block4 = nn.Sequential(*_separable(128, 128))
        self.scores = nn.Conv2d(128, num_classes, 1)
        self.pool4 = nn.AdaptiveAvgPool2d(1)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores `(N, num_classes)` for images `(N, 3, H, W)`."""
        maps = self.block2(self.pool1(self.block1(images)))
        maps = self.block4(self.pool3(self.block3(self.pool2(maps))))
        return self.pool4(self.scores(maps)).flatten(1)  # type: ignore[no-any-return]  # untyped modules
