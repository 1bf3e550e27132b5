"""The network of document 004, rebuilt from its printed table."""

from __future__ import annotations

from torch import Tensor, nn


def _unit(
    in_channels: int, out_channels: int, kernel: int = 3, padding: int = 1, dilation: int = 1
) -> tuple[nn.Module, nn.Module, nn.Module, nn.Module]:
    """Return the four layers that the table repeats twelve times."""
    convolution = nn.Conv2d(in_channels, out_channels, kernel, padding=padding, dilation=dilation, bias=False)
    return convolution, nn.ReLU(), nn.BatchNorm2d(out_channels), nn.Dropout(0.05)


class Net(nn.Module):
    """Document 004: stride 1 throughout, two dilated kernels, 194,480 parameters.

    Certain from the table: types, order, output shapes, parameter counts, no biases. Rows 9 and 33
    (32x32 to 28x28, 28x28 to 24x24) have the weights of 3x3 kernels, so with stride 1 their dilation
    exceeds their padding by 2: they are dilated whatever the padding.

    Our choice: dilation 2 without padding there. So are the dropout rate of 0.05 and the output as raw
    class scores. The document names no blocks; ours end where the map shrinks.

    Claims: fewer than 200,000 parameters holds; the rows add up to 194,480. The 85 % asked for were
    missed by its own account (80.45 %).

    Args:
        num_classes: number of class scores.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.block1 = nn.Sequential(*_unit(3, 16), *_unit(16, 16))
        self.block2 = nn.Sequential(
            *_unit(16, 32, padding=0, dilation=2),
            *_unit(32, 32),
            *_unit(32, 64),
            *_unit(64, 32, kernel=1, padding=0),
            *_unit(32, 32),
            *_unit(32, 32),
        )
        self.block3 = nn.Sequential(
            *_unit(32, 64, padding=0, dilation=2),
            *_unit(64, 64),
            *_unit(64, 128),
            *_unit(128, 64, kernel=1, padding=0),
        )
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.classify = nn.Conv2d(64, num_classes, 1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores `(N, num_classes)` for images `(N, 3, H, W)`."""
        x = self.block2(self.block1(images))  # (N, 32, 28, 28)
        x = self.block3(x)  # (N, 64, 24, 24)
        scores: Tensor = self.classify(self.gap(x))  # (N, num_classes, 1, 1)
        return scores.flatten(1)
