"""The network of document 000, rebuilt from its printed table."""

from __future__ import annotations

from torch import Tensor, nn


class Net(nn.Module):
    """Document 000: three blocks with max pools, 995,710 parameters.

    Certain from the table: types, order, output shapes, parameter counts. Row 9 is a depthwise 3x3
    convolution with bias and two outputs for each input (200 * 9 + 200 = 2,000). Row 14 is a 3x3
    kernel (500 * 200 * 9 + 500) that turns 8x8 into 10x10.

    Our choice: row 14 is dilated by 2 with padding 3; undilated with padding 2 would print the same
    row. So are the dropout rate of 0.1 and the output as raw class scores, flattened after the pool.

    Claims: fewer than 1,000,000 parameters holds. A depthwise separable convolution does not: no 1x1
    convolution follows row 9. The 80 % asked for were missed by its own account (78 %).

    Args:
        num_classes: number of class scores.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.block1 = nn.Sequential(
            nn.Conv2d(3, 50, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(50),
            nn.Conv2d(50, 100, 3, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(100),
            nn.Dropout(0.1),
        )
        self.pool1 = nn.MaxPool2d(2)
        self.block2 = nn.Sequential(
            nn.Conv2d(100, 200, 3, padding=1, groups=100),
            nn.ReLU(),
            nn.BatchNorm2d(200),
            nn.Dropout(0.1),
        )
        self.pool2 = nn.MaxPool2d(2)
        self.block3 = nn.Sequential(
            nn.Conv2d(200, 500, 3, padding=3, dilation=2), nn.ReLU(), nn.BatchNorm2d(500)
        )
        self.pool3 = nn.MaxPool2d(2)
        self.classify = nn.Conv2d(500, num_classes, 3, padding=1)
        self.gap = nn.AvgPool2d(5)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores `(N, num_classes)` for images `(N, 3, 32, 32)`."""
        x = self.pool1(self.block1(images))  # (N, 100, 16, 16)
        x = self.pool2(self.block2(x))  # (N, 200, 8, 8)
        x = self.pool3(self.block3(x))  # (N, 500, 5, 5)
        scores: Tensor = self.gap(self.classify(x))  # (N, num_classes, 1, 1)
        return scores.flatten(1)
