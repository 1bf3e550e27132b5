"""The network of the assignment `era-s8-norms`, in three versions: batch, group and layer normalisation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

_NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,
    "group": lambda channels: nn.GroupNorm(4, channels),
    # All channels and pixels of an image together; scale and shift are per channel, so that they don't
    # grow with the map.
    "layer": lambda channels: nn.GroupNorm(1, channels),
}


class Net(nn.Module):
    """C1 C2 c3 P1 C3 C4 C5 c6 P2 C7 C8 C9 GAP c10, where c is a 1x1 convolution and P a max pooling.

    Args:
        norm: what stands behind each convolution but the last.
        num_classes: number of class scores.
    """

    def __init__(self, norm: Literal["batch", "group", "layer"] = "batch", num_classes: int = 10) -> None:
        super().__init__()

        def conv(in_channels: int, out_channels: int, kernel: int = 3) -> nn.Sequential:
            layer = nn.Conv2d(in_channels, out_channels, kernel, padding=kernel // 2, bias=False)
            return nn.Sequential(layer, _NORMS[norm](out_channels), nn.ReLU())

        self.block1 = nn.Sequential(conv(3, 12), conv(12, 16), conv(16, 16, kernel=1))
        self.pool1 = nn.MaxPool2d(2)
        self.block2 = nn.Sequential(conv(16, 24), conv(24, 24), conv(24, 32), conv(32, 24, kernel=1))
        self.pool2 = nn.MaxPool2d(2)
        self.block3 = nn.Sequential(conv(24, 32), conv(32, 32), conv(32, 32))
        self.pool3 = nn.AdaptiveAvgPool2d(1)
        self.scores = nn.Conv2d(32, num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Return class scores `(N, num_classes)` for images `(N, 3, H, W)`."""
        maps = self.block2(self.pool1(self.block1(images)))
        maps = self.block3(self.pool2(maps))
        return self.scores(self.pool3(maps)).flatten(1)  # type: ignore[no-any-return]  # untyped modules
