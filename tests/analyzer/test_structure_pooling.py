"""Where maps are pooled or shrink, and the near misses."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cifar_report.analyzer import analyze
from tests.analyzer.functions import Function
from tests.analyzer.structures import Gate, findings, found, why_not


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
