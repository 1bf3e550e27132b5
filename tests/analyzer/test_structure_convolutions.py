"""Convolutions in pairs or with holes, and their near misses, each beside its positive twin."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.analyzer.functions import Function
from tests.analyzer.structures import Gate, depthwise, findings, found, why_not


class GhostNorm(nn.BatchNorm2d):
    """Normalises parts of the batch apart, by reshaping."""

    def forward(self, x: Tensor) -> Tensor:
        n, c, h, w = x.shape
        split = x.reshape(n, c, h, w).view(1, n * c, h, w)
        return F.batch_norm(split, self.running_mean, self.running_var, None, None, False).view(n, c, h, w)


class NormByHand(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(8, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        centred = x - x.mean((2, 3), keepdim=True)
        return centred / (centred.pow(2).mean((2, 3), keepdim=True) + 1e-5).sqrt() * self.scale


class ChannelsLast(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.mix = nn.LayerNorm(8), nn.Linear(8, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.norm(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    "between",
    [
        [],
        [nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.1)],
        [nn.GroupNorm(2, 8), nn.GELU()],
        [GhostNorm(8), nn.SiLU()],
        [NormByHand()],
        [Function(lambda x: x * torch.sigmoid(x))],
        [Function(lambda x: x * F.relu6(x + 3) / 6)],
        [Gate()],
        [nn.Sequential(nn.BatchNorm2d(8), nn.Sequential(nn.Hardswish(), nn.Dropout2d(0.1)))],
    ],
)
def test_depthwise_then_pointwise_is_separable_whatever_normalises_between(between: list[nn.Module]) -> None:
    module = nn.Sequential(depthwise(), *between, nn.Conv2d(8, 12, 1))
    assert found(module, "depthwise_separable") == [("0", str(len(between) + 1))]


def test_depthwise_with_a_channel_multiplier_is_separable() -> None:
    assert found(nn.Sequential(depthwise(out=24), nn.Conv2d(24, 12, 1)), "depthwise_separable") == [
        ("0", "1")
    ]


def test_a_linear_layer_on_channels_last_is_a_pointwise_convolution() -> None:
    assert found(nn.Sequential(depthwise(), ChannelsLast()), "depthwise_separable") == [("0", "1.mix")]


def test_a_linear_layer_on_a_flattened_map_is_not() -> None:
    module = nn.Sequential(depthwise(), nn.Flatten(), nn.Linear(8 * 256, 5))
    assert "flatten comes next" in why_not(module, "depthwise_separable")
    by_view = nn.Sequential(depthwise(), Function(lambda x: x.view(1, -1)), nn.Linear(8 * 256, 5))
    assert "linear comes next" in why_not(by_view, "depthwise_separable")


def test_a_functional_pair_is_found() -> None:
    deep, point = torch.rand(8, 1, 3, 3), torch.rand(4, 8, 1, 1)
    module = Function(lambda x: F.conv2d(F.relu(F.conv2d(x, deep, groups=8)), point))
    assert found(nn.Sequential(module), "depthwise_separable") == [("0", "0")]


def test_a_reused_pair_counts_each_time() -> None:
    pair = nn.Sequential(depthwise(), nn.ReLU(), nn.Conv2d(8, 8, 1))
    assert len(found(nn.Sequential(pair, pair, pair), "depthwise_separable")) == 3


def test_three_dimensional_and_one_dimensional_pairs() -> None:
    flat = nn.Sequential(nn.Conv1d(8, 8, 3, groups=8), nn.ReLU(), nn.Conv1d(8, 4, 1))
    assert len(found(flat, "depthwise_separable", (8, 32))) == 1
    deep = nn.Sequential(nn.Conv3d(8, 8, 3, groups=8), nn.ReLU(), nn.Conv3d(8, 4, 1))
    assert len(found(deep, "depthwise_separable", (8, 8, 8, 8))) == 1


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([depthwise(), nn.MaxPool2d(2)], "without its pointwise 1x1: max_pool2d comes next"),
        ([depthwise(), nn.Conv2d(8, 4, 3)], "a 3x3 convolution comes next"),
        ([depthwise(), nn.Conv2d(8, 8, 1, groups=2)], "a 1x1 convolution with 2 groups comes next"),
        ([depthwise()], "nothing comes next"),
        ([depthwise(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 1)], "max_pool2d comes next"),
        ([nn.Conv2d(8, 8, 1), nn.ReLU(), depthwise()], "(the 1x1 before it doesn't count)"),
        ([nn.Conv2d(8, 8, 1, groups=8), nn.Conv2d(8, 4, 1)], "it only scales each channel"),
        ([nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 4, 1)], "in 2 groups of 4 channels is grouped"),
        ([nn.Conv2d(8, 8, (3, 1)), nn.ReLU(), nn.Conv2d(8, 4, (1, 3))], "spatially separable"),
        ([nn.Conv2d(8, 8, (1, 3)), nn.Conv2d(8, 4, (3, 1))], "spatially separable"),
    ],
)
def test_what_only_looks_depthwise_separable_says_why(layers: list[nn.Module], reason: str) -> None:
    assert reason in why_not(nn.Sequential(*layers), "depthwise_separable")


def test_a_residual_sum_between_breaks_the_pair() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.deep, self.point = depthwise(), nn.Conv2d(8, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            return self.point(x + self.deep(x))

    assert "add comes next" in why_not(Residual(), "depthwise_separable")


def test_ordinary_and_single_channel_convolutions_say_nothing() -> None:
    assert findings(nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 4, 1)), "depthwise_separable") == []
    module = nn.Sequential(nn.Conv2d(1, 1, 3), nn.Conv2d(1, 4, 1))
    assert findings(module, "depthwise_separable", (1, 16, 16)) == []
    assert findings(nn.Sequential(nn.Conv2d(8, 8, (3, 1))), "depthwise_separable") == []


@pytest.mark.parametrize(
    ("layer", "is_dilated"),
    [
        (nn.Conv2d(8, 4, 3, dilation=2), True),
        (nn.Conv2d(8, 4, (1, 3), dilation=(1, 2)), True),
        (nn.Conv2d(8, 4, 1, dilation=2), False),
        (nn.Conv2d(8, 4, (1, 3), dilation=(2, 1)), False),
        (nn.MaxPool2d(2, dilation=2), False),
        (Function(lambda x: F.conv2d(x, torch.rand(4, 8, 3, 3), dilation=2)), True),
        (depthwise(dilation=2), True),
    ],
)
def test_dilation_counts_where_kernel_and_dilation_meet_on_one_axis(
    layer: nn.Module, is_dilated: bool
) -> None:
    assert len(found(nn.Sequential(layer), "dilated")) == is_dilated
    if not is_dilated:
        assert why_not(nn.Sequential(layer), "dilated")
    assert findings(nn.Sequential(nn.Conv2d(8, 4, 3)), "dilated") == []
