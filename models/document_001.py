"""The network of document 001, rebuilt from its printed table."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class GhostBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over parts of the batch, with weight and bias frozen at 1 and 0.

    In training each of the `splits` parts is normalised by its own statistics, and the running ones
    take up each part in turn (Hoffer, Hubara and Soudry 2017, arXiv:1705.08741, algorithm 1). In
    evaluation it is ordinary batch normalisation. A batch that doesn't divide leaves a smaller part.

    Args:
        num_features: channels.
        splits: number of parts.
    """

    def __init__(self, num_features: int, splits: int = 2) -> None:
        super().__init__(num_features)
        self.splits = splits
        self.weight.requires_grad_(False)
        self.bias.requires_grad_(False)

    def forward(self, input: Tensor) -> Tensor:
        """Return the normalised `(N, C, H, W)` tensor."""
        if not self.training:
            return super().forward(input)
        normalise = super().forward
        return torch.cat([normalise(part) for part in input.chunk(self.splits)])

    def extra_repr(self) -> str:
        """Return what `print(module)` shows."""
        return f"{self.num_features}, splits={self.splits}"


class Net(nn.Module):
    """Document 001: three blocks with max pools and ghost batch norms, 657,146 parameters.

    Certain from the table: types, order, output shapes, parameter counts. The 992 frozen parameters
    are the ghost batch norms' weights and biases. Rows 7 and 17 are 1x1 kernels with padding 1. Rows
    10 and 13 have three weights to a kernel (64 * 16 * 3 + 64 = 3,136) and make the map non-square.

    Our choice: row 10 is 3x1 and row 13 is 1x3, both with padding 1 (other paddings fit the other way
    round); row 23 (12x12 to 10x10) is dilated by 2 with padding 1, while undilated without padding
    would print the same row. So are the ReLUs, which must have been functions because no row shows
    one, and the output as raw class scores. Dropout 0.1 and two splits are the document's.

    Claims: fewer than 1,000,000 parameters holds. A depthwise separable convolution does not: the
    count of no row fits one, for rows 10 and 13 are full convolutions with 3x1 and 1x3 kernels.

    Args:
        num_classes: number of class scores.
    """

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, padding=1)
        self.norm1 = GhostBatchNorm(32)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.norm2 = GhostBatchNorm(32)
        self.drop2 = nn.Dropout(0.1)
        self.pool1 = nn.MaxPool2d(2)

        self.conv3 = nn.Conv2d(32, 16, 1, padding=1)
        self.norm3 = GhostBatchNorm(16)
        self.drop3 = nn.Dropout(0.1)
        self.conv4 = nn.Conv2d(16, 64, (3, 1), padding=1)
        self.norm4 = GhostBatchNorm(64)
        self.drop4 = nn.Dropout(0.1)
        self.conv5 = nn.Conv2d(64, 64, (1, 3), padding=1)
        self.norm5 = GhostBatchNorm(64)
        self.drop5 = nn.Dropout(0.1)
        self.pool2 = nn.MaxPool2d(2)

        self.conv6 = nn.Conv2d(64, 32, 1, padding=1)
        self.norm6 = GhostBatchNorm(32)
        self.drop6 = nn.Dropout(0.1)
        self.conv7 = nn.Conv2d(32, 128, 3, padding=1)
        self.norm7 = GhostBatchNorm(128)
        self.drop7 = nn.Dropout(0.1)
        self.conv8 = nn.Conv2d(128, 128, 3, padding=1, dilation=2)
        self.norm8 = GhostBatchNorm(128)
        self.drop8 = nn.Dropout(0.1)
        self.pool3 = nn.MaxPool2d(2)

        self.conv9 = nn.Conv2d(128, 256, 3, padding=1)
        self.conv10 = nn.Conv2d(256, 64, 3, padding=1)
        self.gap = nn.AvgPool2d(5)
        self.classify = nn.Conv2d(64, num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores `(N, num_classes)` for images `(N, 3, 32, 32)`."""
        x = functional.relu(self.norm1(self.conv1(images)))  # (N, 32, 32, 32)
        x = self.drop2(functional.relu(self.norm2(self.conv2(x))))
        x = self.pool1(x)  # (N, 32, 16, 16)
        x = self.drop3(functional.relu(self.norm3(self.conv3(x))))  # (N, 16, 18, 18)
        x = self.drop4(functional.relu(self.norm4(self.conv4(x))))  # (N, 64, 18, 20)
        x = self.drop5(functional.relu(self.norm5(self.conv5(x))))  # (N, 64, 20, 20)
        x = self.pool2(x)  # (N, 64, 10, 10)
        x = self.drop6(functional.relu(self.norm6(self.conv6(x))))  # (N, 32, 12, 12)
        x = self.drop7(functional.relu(self.norm7(self.conv7(x))))  # (N, 128, 12, 12)
        x = self.drop8(functional.relu(self.norm8(self.conv8(x))))  # (N, 128, 10, 10)
        x = self.pool3(x)  # (N, 128, 5, 5)
        x = self.conv10(functional.relu(self.conv9(x)))  # (N, 64, 5, 5)
        scores: Tensor = self.classify(self.gap(x))  # (N, num_classes, 1, 1)
        return scores.flatten(1)
