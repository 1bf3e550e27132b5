"""Layers that are read instead of run leave the same analysis behind as when they are run."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cifar_report.analyzer import layers, tracer
from cifar_report.analyzer.assemble import analyze
from cifar_report.analyzer.errors import ModelError
from cifar_report.analyzer.receptive_field import RULES
from cifar_report.analyzer.trace import trace_network

SETTINGS = (
    nn.Conv2d(4, 8, 3),
    nn.Conv2d(4, 8, (3, 5), stride=(2, 1), padding=(0, 3), dilation=(1, 2), groups=4, bias=False),
    nn.Conv2d(4, 8, 4, padding="same"),
    nn.Conv2d(4, 8, 3, padding="valid", dilation=2),
    nn.Conv2d(4, 8, 3, padding=1, padding_mode="reflect"),
    nn.BatchNorm2d(4),
    nn.BatchNorm2d(4, affine=False, momentum=None),
    nn.BatchNorm2d(4, track_running_stats=False),
    nn.GroupNorm(2, 4),
    nn.GroupNorm(4, 4, affine=False),
    nn.LayerNorm(16),
    nn.LayerNorm((4, 16, 16), elementwise_affine=False),
    nn.Linear(16, 3),
    nn.Linear(16, 3, bias=False),
    nn.ReLU(),
    nn.ReLU(inplace=True),
    nn.ReLU6(inplace=True),
    nn.Hardtanh(-2, 2),
    nn.Hardswish(inplace=True),
    nn.Hardsigmoid(),
    nn.SiLU(inplace=True),
    nn.Mish(),
    nn.Sigmoid(),
    nn.Tanh(),
    nn.LeakyReLU(0.2, inplace=True),
    nn.ELU(2.0),
    nn.GELU(),
    nn.GELU("tanh"),
    nn.Dropout(0.3),
    nn.Dropout(0.3, inplace=True),
    nn.Dropout2d(),
    nn.MaxPool2d(3, 2, 1),
    nn.MaxPool2d(3),
    nn.MaxPool2d((2, 3), ceil_mode=True),
    nn.MaxPool2d(3, 1, 1, dilation=2),
    nn.AvgPool2d(2),
    nn.AvgPool2d(3, 2, (1, 0)),
    nn.AvgPool2d(3, 2, 1, count_include_pad=False),
    nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveAvgPool2d((3, 5)),
    nn.AdaptiveAvgPool2d((None, 2)),
)
OF_OTHER_RANKS = (
    (nn.Conv1d(4, 8, 3, stride=2), (4, 16)),
    (nn.BatchNorm1d(4), (4, 16)),
    (nn.BatchNorm1d(4), (4,)),
    (nn.Dropout1d(), (4, 16)),
    (nn.Conv3d(4, 8, (1, 3, 3), padding=1), (4, 6, 7, 8)),
    (nn.BatchNorm3d(4), (4, 6, 7, 8)),
    (nn.Dropout3d(), (4, 6, 7, 8)),
)
CASES = [*((layer, (4, 16, 16)) for layer in SETTINGS), *OF_OTHER_RANKS]


def stem(shape: tuple[int, ...]) -> nn.Module:
    """Return a layer whose output a layer under test may write to."""
    convolution = {2: nn.Conv1d, 3: nn.Conv2d, 4: nn.Conv3d}.get(len(shape))
    return convolution(4, 4, 1) if convolution else nn.Linear(4, 4)


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=lambda item: str(item))
def test_a_layer_that_is_read_counts_as_the_one_that_is_run(
    layer: nn.Module, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    network = nn.Sequential(stem(shape), layer)
    read = analyze(network, shape)
    monkeypatch.setattr(tracer, "LAYERS", {})
    assert read == analyze(network, shape)


def test_every_class_that_is_read_has_a_case() -> None:
    assert {type(layer) for layer, _ in CASES} == set(layers.LAYERS)


def test_most_cases_are_read_indeed(monkeypatch: pytest.MonkeyPatch) -> None:
    run = []
    for kind in layers.LAYERS:
        original = kind.forward

        def forward(self: Any, x: Tensor, original: Any = original) -> Any:
            run.append(self)
            return original(self, x)

        monkeypatch.setattr(kind, "forward", forward)
    for layer, shape in CASES:
        network = nn.Sequential(stem(shape), layer)
        trace_network(network, shape, RULES)
    expected = {"reflect", "'tanh'", "ceil_mode=True", "dilation=2, ceil", "track_running_stats=False",
                "(None, 2)"}  # fmt: skip
    covered = [layer for layer in run if not any(word in repr(layer) for word in expected)]
    assert [repr(layer) for layer in covered] == ["AvgPool2d(kernel_size=3, stride=2, padding=1)"]


class Watched(nn.Module):
    """A network in which something else wants to see a convolution run."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 4, 3)
        self.how = how
        self.seen = 0
        if how == "hook":
            self.layer.register_forward_hook(lambda *_: self.see())
        if how == "hook before":
            self.layer.register_forward_pre_hook(lambda *_: self.see())
        if how == "own forward":
            run = self.layer.forward
            self.layer.forward = lambda x: (self.see(), run(x))[1]
        if how == "weight of its own":
            weight = self.layer.weight
            del self.layer.weight
            self.layer.weight = weight.detach() * 2

    def see(self) -> None:
        type(self).times += 1

    times = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "mode":
            with Counting(self):
                return self.layer(x)
        return self.layer(x)


class Counting(torch.overrides.TorchFunctionMode):
    def __init__(self, owner: Watched) -> None:
        super().__init__()
        self.owner = owner

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.conv2d:
            self.owner.see()
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("how", ["hook", "hook before", "own forward", "mode"])
def test_a_layer_that_somebody_watches_is_run(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Watched, "times", 0)
    analysis = analyze(Watched(how), (3, 8, 8))
    assert Watched.times == 1
    assert [op.op for op in analysis.operators] == ["conv2d"]


def test_a_weight_that_is_no_parameter_is_found_all_the_same() -> None:
    analysis = analyze(Watched("weight of its own"), (3, 8, 8))
    assert [op.op for op in analysis.operators] == ["conv2d"]
    assert analysis.totals.macs == 4 * 3 * 9 * 36


def test_a_subclass_is_run() -> None:
    class Doubling(nn.ReLU):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) * 2

    assert [op.op for op in analyze(Doubling(), (3, 8, 8)).operators] == ["relu", "mul"]


def test_a_wrong_input_gets_torchs_own_message() -> None:
    with pytest.raises(ModelError, match="expected 4D input"):
        analyze(nn.Sequential(nn.Flatten(2), nn.BatchNorm2d(3)), (3, 8, 8))
