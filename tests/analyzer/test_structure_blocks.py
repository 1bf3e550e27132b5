"""Where one block of a network ends and the next begins."""

from __future__ import annotations

from torch import Tensor, nn

from tests.analyzer.structures import blocks


def conv(stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 3, 3, stride=stride, padding=1), nn.BatchNorm2d(3), nn.ReLU())


def test_blocks_lie_between_pools() -> None:
    module = nn.Sequential(conv(), conv(), nn.MaxPool2d(2), conv(), nn.MaxPool2d(2), conv(), nn.Flatten())
    assert blocks(module) == [("0.0", "1.0"), ("3.0",), ("5.0",)]


def test_a_strided_convolution_ends_the_block_that_it_belongs_to() -> None:
    block = [conv(), conv(), conv(stride=2)]
    module = nn.Sequential(*[nn.Sequential(*block) for _ in range(3)], conv(), nn.AdaptiveAvgPool2d(1))
    assert [len(names) for names in blocks(module)] == [3, 3, 3, 1]


def test_a_dilated_convolution_ends_a_block_when_it_shrinks_enough() -> None:
    shrinks = nn.Conv2d(3, 3, 3, dilation=8)
    trims = nn.Conv2d(3, 3, 3, dilation=2)
    assert len(blocks(nn.Sequential(conv(), shrinks, conv()))) == 2
    assert len(blocks(nn.Sequential(conv(), trims, conv()))) == 1


def test_what_shrinks_side_by_side_is_one_transition() -> None:
    class Reduces(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main = nn.Sequential(conv(stride=2), conv())
            self.short, self.pool = nn.Conv2d(3, 3, 1, stride=2), nn.MaxPool2d(3, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.main(x) + self.short(x) + self.pool(x)

    assert len(blocks(nn.Sequential(conv(), Reduces(), conv()))) == 2
