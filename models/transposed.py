"""A field of exactly 54 px by a transposed convolution, which document 002 claims and does not show."""

from __future__ import annotations

from torch import Tensor, nn


def _norm_relu(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.BatchNorm2d(channels), nn.ReLU()


def _conv(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, dilation: int = 1
) -> tuple[nn.Module, ...]:
    padding = dilation * (kernel // 2) if kernel % 2 else 0
    conv = nn.Conv2d(in_channels, out_channels, kernel, stride, padding, dilation, bias=False)
    return conv, *_norm_relu(out_channels)


def _separable(channels: int) -> tuple[nn.Module, ...]:
    depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
    pointwise = nn.Conv2d(channels, channels, 1, bias=False)
    return depthwise, nn.BatchNorm2d(channels), pointwise, *_norm_relu(channels)


class Net(nn.Module):
    """Down by a 2x2 and a 3x3 kernel with stride 2, then up again by a transposed convolution.

    Odd kernels alone give odd fields; the 2x2 kernel makes it an even one. Behind each layer: what it adds.

    Args:
        num_classes: number of class scores.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        # One pixel, 2 + 2, and 1 for the 2x2 kernel: 6, on a grid of 2.
        self.block1 = nn.Sequential(*_conv(3, 16), *_conv(16, 16), *_conv(16, 32, kernel=2, stride=2))
        # 4 + 8 + 4: 22, on a grid of 4.
        self.block2 = nn.Sequential(*_separable(32), *_conv(32, 32, dilation=2), *_conv(32, 48, stride=2))
        # 8 + 8 + 8: 46.
        self.block3 = nn.Sequential(*_separable(48), *_conv(48, 48), *_separable(48))
        # Each unit reads two of the map below: 4, on a grid of 2; then 4: 54.
        up = nn.ConvTranspose2d(48, 32, 4, stride=2, padding=1, bias=False)
        self.block4 = nn.Sequential(up, *_norm_relu(32), *_conv(32, 32))
        self.scores = nn.Conv2d(32, num_classes, 1)
        self.pool = nn.AdaptiveAvgPool2d(1)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores `(N, num_classes)` for images `(N, 3, H, W)`."""
        maps = self.block4(self.block3(self.block2(self.block1(images))))
        return self.pool(self.scores(maps)).flatten(1)  # type: ignore[no-any-return]  # untyped modules
