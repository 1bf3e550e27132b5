"""Structures and their near misses, each with a minimal network and its positive twin."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.analysis import Finding


def findings(module: nn.Module, structure: str, shape: tuple[int, ...] = (8, 16, 16)) -> list[Finding]:
    return [f for f in analyze(module, shape).findings if f.structure == structure]


def found(module: nn.Module, structure: str, shape: tuple[int, ...] = (8, 16, 16)) -> list[tuple[str, ...]]:
    return [f.layers for f in findings(module, structure, shape) if f.found]


def why_not(module: nn.Module, structure: str, shape: tuple[int, ...] = (8, 16, 16)) -> str:
    assert found(module, structure, shape) == []
    return "; ".join(f.detail for f in findings(module, structure, shape))


class Function(nn.Module):
    """A network that is one function, with parameters of its own."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def depthwise(channels: int = 8, out: int | None = None, kernel: Any = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(channels, out or channels, kernel, padding=1, groups=channels, **options)


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


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.up(self.down(x.mean((2, 3), keepdim=True)).relu()).sigmoid()


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


@pytest.mark.parametrize(
    "pool",
    [
        nn.AdaptiveAvgPool2d(1),
        nn.AdaptiveAvgPool2d((1, 1)),
        nn.AvgPool2d(16),
        Function(lambda x: x.mean((2, 3))),
        Function(lambda x: x.mean((-1, -2), keepdim=True)),
        Function(lambda x: x.mean(-1).mean(-1)),
        Function(lambda x: x.flatten(2).mean(-1)),
        Function(lambda x: x.permute(0, 2, 3, 1).mean((1, 2))),
        Function(lambda x: F.avg_pool2d(x, x.shape[2:])),
        Function(lambda x: F.adaptive_avg_pool2d(x, 1)),
        Function(lambda x: x.sum((2, 3)) / 256),
    ],
)
def test_global_average_pooling_in_every_spelling(pool: nn.Module) -> None:
    module = nn.Sequential(nn.Conv2d(8, 4, 3, padding=1), pool, nn.Flatten())
    assert len(found(module, "gap")) == 1
    assert analyze(module, (8, 16, 16)).totals.receptive_field.before_gap.size == (3, 3)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        ([nn.AvgPool2d(8)], "leaves 2x2 of the map"),
        ([nn.AvgPool2d(15, stride=1)], "leaves 2x2 of the map"),
        ([nn.AdaptiveAvgPool2d(2)], "leaves 2x2 of the map"),
        ([nn.AdaptiveMaxPool2d(1)], "by the maximum"),
        ([nn.MaxPool2d(16)], "by the maximum"),
        ([Function(lambda x: x.sum((2, 3)))], "by the sum"),
        ([Function(lambda x: x.amax((2, 3)))], "by the maximum"),
        ([nn.Conv2d(8, 8, 16), nn.AdaptiveAvgPool2d(1)], "1x1 already"),
        ([Gate(), nn.Conv2d(8, 4, 3)], "spreads it over a map again"),
    ],
)
def test_what_only_looks_like_global_average_pooling_says_why(layers: list[nn.Module], reason: str) -> None:
    assert reason in why_not(nn.Sequential(*layers), "gap")


def test_an_average_pool_in_the_middle_is_no_near_miss() -> None:
    module = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(8, 4, 3), nn.AdaptiveAvgPool2d(1))
    assert [f.layers for f in findings(module, "gap")] == [("2",)]


def test_a_gate_beside_a_real_global_pooling_is_not_worth_a_word() -> None:
    module = nn.Sequential(Gate(), nn.Conv2d(8, 4, 3), nn.AdaptiveAvgPool2d(1))
    assert [(f.layers, f.found) for f in findings(module, "gap")] == [(("2",), True)]


def test_the_mean_over_one_axis_is_no_global_pooling() -> None:
    assert findings(nn.Sequential(nn.Conv2d(8, 4, 3), Function(lambda x: x.mean(-1))), "gap") == []
    assert findings(nn.Sequential(nn.Conv2d(8, 4, 3), Function(lambda x: x.mean(1))), "gap") == []


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)], [("2", "0")]),
        ([nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 5, 1), nn.Flatten()], [("1", "0")]),
        ([nn.Conv2d(8, 5, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LogSoftmax(1)], []),
        ([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 5)],
         [("2", "0"), ("4", "0")]),
        ([nn.Flatten(), nn.Linear(8 * 256, 5)], []),
        ([Gate(), nn.Conv2d(8, 5, 1), nn.AdaptiveAvgPool2d(1)], []),
        ([nn.AdaptiveAvgPool2d(1), Function(lambda x: F.linear(x.flatten(1), torch.rand(5, 8)))],
         [("1", "0")]),
    ],
)  # fmt: skip
def test_fully_connected_layers_after_global_pooling(
    layers: list[nn.Module], expected: list[tuple[str, ...]]
) -> None:
    assert found(nn.Sequential(*layers), "fc_after_gap") == expected


@pytest.mark.parametrize(
    ("layer", "kind"),
    [
        (nn.MaxPool2d(2), "max_pool"),
        (nn.AvgPool2d(2), "avg_pool"),
        (nn.AdaptiveAvgPool2d(4), "avg_pool"),
        (nn.Conv2d(8, 8, 3, stride=2, padding=1), "strided_3x3"),
        (nn.Conv2d(8, 8, 1, stride=2), "strided_1x1"),
        (nn.Conv2d(8, 8, 3, dilation=4), "dilated"),
        (nn.Upsample(scale_factor=0.5), "resized"),
        (nn.PixelUnshuffle(2), "patches"),
        (Function(lambda x: F.max_pool2d(x, 2)), "max_pool"),
        (nn.Conv2d(8, 8, 3), None),
        (nn.Conv2d(8, 8, 3, padding=1), None),
        (nn.MaxPool2d(3, stride=1, padding=1), None),
        (nn.Upsample(scale_factor=2), None),
        (nn.ConvTranspose2d(8, 8, 2, stride=2), None),
        (nn.AdaptiveAvgPool2d(1), None),
    ],
)
def test_each_way_to_shrink_a_map_has_its_name(layer: nn.Module, kind: str | None) -> None:
    kinds = [f.structure for f in analyze(nn.Sequential(layer), (8, 16, 16)).findings
             if f.structure.startswith("downsampling")]  # fmt: skip
    assert kinds == ([] if kind is None else [f"downsampling.{kind}"])


def blocks(module: nn.Module, shape: tuple[int, ...] = (3, 32, 32)) -> list[tuple[str, ...]]:
    return found(module, "block", shape)


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


@pytest.mark.parametrize(("name", "count"), [("vgg11", 5), ("resnet18", 5), ("convnext_tiny", 5)])
def test_blocks_of_known_networks(name: str, count: int) -> None:
    with torch.device("meta"):
        module = torchvision.models.get_model(name)
    assert len(blocks(module, (3, 224, 224))) == count


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenet_v2", {"depthwise_separable": 17, "gap": 1, "fc_after_gap": 1, "strided_conv": 5}),
        ("mobilenet_v3_small", {"depthwise_separable": 11, "gap": 1, "fc_after_gap": 2, "strided_conv": 5}),
        ("efficientnet_b0", {"depthwise_separable": 16, "gap": 1, "fc_after_gap": 1, "strided_conv": 5}),
        ("convnext_tiny", {"depthwise_separable": 18, "gap": 1, "fc_after_gap": 1, "strided_conv": 4}),
        ("shufflenet_v2_x0_5", {"depthwise_separable": 19, "gap": 1, "fc_after_gap": 1, "max_pool": 1,
                                "strided_conv": 7}),
        ("squeezenet1_1", {"gap": 1, "max_pool": 3, "strided_conv": 1}),
        ("resnet18", {"gap": 1, "fc_after_gap": 1, "max_pool": 1, "strided_conv": 7}),
        ("vgg11", {"max_pool": 5}),
        ("swin_t", {"gap": 1, "fc_after_gap": 1, "strided_conv": 1}),
    ],
)  # fmt: skip
def test_structures_of_known_networks(name: str, expected: dict[str, int]) -> None:
    with torch.device("meta"):
        module = torchvision.models.get_model(name)
    counts = Counter(f.structure for f in analyze(module, (3, 224, 224)).findings if f.found)
    kinds = ("depthwise_separable", "dilated", "gap", "fc_after_gap", "max_pool", "strided_conv")
    assert {kind: counts[kind] for kind in kinds if counts[kind]} == expected
