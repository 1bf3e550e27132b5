"""How rows are named, ordered and nested, what each holds, and that their cost grows linearly."""

from __future__ import annotations

import time
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cifar_report.analyzer import Analysis, analyze
from cifar_report.analyzer.analysis import Layer


def row(analysis: Analysis, name: str) -> Layer:
    (found,) = [layer for layer in analysis.layers if layer.name == name]
    return found


class Mixed(nn.Module):
    """Functions beside modules, a module called twice, one never called, a raw parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.body = nn.Sequential(nn.ReLU(), nn.Conv2d(4, 4, 1))
        self.spare = nn.Linear(7, 7)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))
        self.register_buffer("offset", torch.zeros(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        y = F.relu(self.body(x) + self.body(x))
        return F.max_pool2d(F.relu(y * self.scale + self.offset), 2)


def test_functions_stand_where_they_ran_and_are_numbered_from_the_second() -> None:
    names = [layer.name for layer in analyze(Mixed(), (3, 8, 8)).layers]
    body = ["body.0", "body.1", "body"]
    assert names == ["conv", *body, *body, "add", "relu", "mul", "add_2", "relu_2", "max_pool2d", ""]


def test_what_a_module_holds_counts_in_its_first_row_only() -> None:
    analysis = analyze(Mixed(), (3, 8, 8))
    first, second = [layer for layer in analysis.layers if layer.name == "body.1"]
    assert (first.params, second.params) == (20, 0)
    assert (first.reused, second.reused) == (False, True)
    assert first.macs == second.macs == 4 * 4 * 64


def test_what_nobody_calls_counts_in_its_holders_row() -> None:
    analysis = analyze(Mixed(), (3, 8, 8))
    assert analysis.uncalled == ("spare",)
    assert row(analysis, "").params == 7 * 7 + 7 + 4
    assert row(analysis, "").buffers == 4


def test_shapes_of_what_comes_in_and_goes_out() -> None:
    analysis = analyze(Mixed(), (3, 8, 8))
    assert row(analysis, "conv").input_shape == (1, 3, 8, 8)
    assert row(analysis, "conv").output_shape == (1, 4, 8, 8)
    assert row(analysis, "max_pool2d").output_shape == (1, 4, 4, 4)
    assert row(analysis, "").output_shape == (1, 4, 4, 4)


def test_a_layer_called_by_keyword_still_has_an_input_shape() -> None:
    class ByKeyword(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(input=x)

    layer = row(analyze(ByKeyword(), (3, 8, 8)), "conv")
    assert layer.input_shape == (1, 3, 8, 8)
    assert layer.backward_field.size == (3, 3)


def test_a_layer_without_tensors_has_a_row_without_shapes() -> None:
    class Chooses(nn.Module):
        def forward(self, n: int) -> int:
            return n + 1

    class Calls(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.chooses = Chooses()

        def forward(self, x: Tensor) -> Tensor:
            return x * self.chooses(2)

    layer = row(analyze(Calls(), (3, 8, 8)), "chooses")
    assert (layer.input_shape, layer.output_shape, layer.receptive_field.kind) == (None, None, "unknown")


def test_containers_and_leaves() -> None:
    analysis = analyze(nn.Sequential(nn.Sequential(nn.ReLU()), nn.Identity()), (3, 8, 8))
    marks = [(layer.name, layer.leaf, layer.container, layer.depth) for layer in analysis.layers]
    assert marks == [
        ("0.0", True, False, 2),
        ("0", False, True, 1),
        ("1", True, False, 1),
        ("", False, True, 0),
    ]


def test_activations_of_views_and_writes_in_place_take_no_memory() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True), nn.Dropout(), nn.Flatten(), nn.ReLU())
    analysis = analyze(module, (3, 8, 8))
    assert [layer.activation_bytes for layer in analysis.layers] == [1024, 0, 0, 0, 1024, 0]
    assert analysis.totals.activation_bytes == 2048


class Block(nn.Module):
    """A depthwise-separable pair with a gate, in which every detector has something to look for."""

    def __init__(self) -> None:
        super().__init__()
        self.deep = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.norm, self.point = nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)
        self.pool, self.gate = nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.avg_pool2d(F.relu(self.norm(self.deep(x))), 3, 1, 1)
        return self.point(x * self.gate(self.pool(x)).sigmoid())


def seconds(build: Any, size: int) -> float:
    module = build(size)
    best = 1e9
    for _ in range(2):
        start = time.process_time()
        analyze(module, (4, 8, 8))
        best = min(best, time.process_time() - start)
    return best


def test_time_grows_linearly_with_the_number_of_layers() -> None:
    def build(count: int) -> nn.Module:
        return nn.Sequential(*[Block() for _ in range(count)])

    seconds(build, 5)  # the first one pays for what is set up once
    small, large = seconds(build, 40), seconds(build, 640)
    assert large < 16 * small * 2.5
