"""The near misses that students hand in, each beside the twin that it is taken for.

All of them as modules, as functions, and with modules that are used again. A near miss counts for
nothing, and its sentence says which layers it is about and why they don't count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.constraints import Verdict, judge, parse_constraint


@dataclass(frozen=True)
class Step:
    """A layer, as a module and as the function that does the same; the same weights either way."""

    module: nn.Module
    function: Callable[[Tensor], Tensor]


def conv(inputs: int, outputs: int, kernel: Any, **options: Any) -> Step:
    module = nn.Conv2d(inputs, outputs, kernel, bias=False, **options)
    weight = module.weight
    return Step(module, lambda x: F.conv2d(x, weight, **options))


def norm_relu() -> Step:
    module = nn.Sequential(nn.BatchNorm2d(8), nn.ReLU())
    mean, var = torch.zeros(8), torch.ones(8)
    return Step(module, lambda x: F.relu(F.batch_norm(x, mean, var)))


def average(kernel: int) -> Step:
    return Step(nn.AvgPool2d(kernel), lambda x: F.avg_pool2d(x, kernel))


def adaptive(size: int) -> Step:
    return Step(nn.AdaptiveAvgPool2d(size), lambda x: F.adaptive_avg_pool2d(x, size))


def maximum() -> Step:
    return Step(nn.MaxPool2d(2), lambda x: F.max_pool2d(x, 2))


def flat() -> Step:
    return Step(nn.Flatten(), lambda x: x.flatten(1))


class Functional(nn.Module):
    """A network of functions: no module but itself."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()
        self.steps = [step.function for step in steps]

    def forward(self, x: Tensor) -> Tensor:
        for step in self.steps:
            x = step(x)
        return x


DEEP = {"padding": 1, "groups": 8}


def head() -> list[Step]:
    return [conv(8, 4, 3), adaptive(1), flat()]


CASES: dict[str, tuple[Callable[[], list[Step]], str, str, Callable[[], list[Step]], tuple[str, ...]]] = {
    "depthwise without pointwise": (
        lambda: [conv(8, 8, 3, **DEEP), norm_relu(), maximum(), conv(8, 8, 1), *head()],
        "depthwise_separable",
        "not {0}: a depthwise 3x3 convolution without its pointwise 1x1: max_pool2d comes next",
        lambda: [conv(8, 8, 3, **DEEP), norm_relu(), conv(8, 8, 1), maximum(), *head()],
        ("0", "2"),
    ),
    "1x1 depthwise": (
        lambda: [conv(8, 8, 1, groups=8), conv(8, 8, 1), *head()],
        "depthwise_separable",
        "not {0}: groups equal channels, but the kernel is 1x1: it only scales each channel",
        lambda: [conv(8, 8, 3, groups=8), conv(8, 8, 1), *head()],
        ("0", "1"),
    ),
    "3x1 and 1x3": (
        lambda: [conv(8, 8, (3, 1)), norm_relu(), conv(8, 8, (1, 3)), *head()],
        "depthwise_separable",
        "not {0} + {2}: a 3x1 and a 1x3 convolution are spatially separable; groups is 1, "
        "so neither works channel by channel",
        lambda: [conv(8, 8, (3, 1), groups=8), norm_relu(), conv(8, 8, 1), *head()],
        ("0", "2"),
    ),
    "grouped": (
        lambda: [conv(8, 8, 3, groups=4), conv(8, 8, 1), *head()],
        "depthwise_separable",
        "not {0}: a 3x3 convolution in 4 groups of 2 channels is grouped, not depthwise",
        lambda: [conv(8, 16, 3, groups=8), conv(16, 8, 1), *head()],
        ("0", "1"),
    ),
    "dilation on 1x1": (
        lambda: [conv(8, 8, 1, dilation=2), *head()],
        "dilated",
        "not {0}: 1x1 kernel, dilation 2x2: no axis has both, so nothing is dilated",
        lambda: [conv(8, 8, 3, dilation=2), *head()],
        ("0",),
    ),
    "dilation on the short axis": (
        lambda: [conv(8, 8, (3, 1), dilation=(1, 2)), *head()],
        "dilated",
        "not {0}: 3x1 kernel, dilation 1x2: no axis has both, so nothing is dilated",
        lambda: [conv(8, 8, (3, 1), dilation=(2, 1)), *head()],
        ("0",),
    ),
    "an average pool that leaves 2x2": (
        lambda: [conv(8, 4, 3), average(7), flat()],
        "gap",
        "not {1}: it leaves 2x2 of the map, not 1x1",
        lambda: [conv(8, 4, 3), average(14), flat()],
        ("1",),
    ),
    "an adaptive pool to 2x2": (
        lambda: [conv(8, 4, 3), adaptive(2), flat()],
        "gap",
        "not {1}: it leaves 2x2 of the map, not 1x1",
        lambda: [conv(8, 4, 3), adaptive(1), flat()],
        ("1",),
    ),
    "1x1 before pooling instead of after": (
        lambda: [conv(8, 4, 3), conv(4, 10, 1), adaptive(1), flat()],
        "fc_after_gap",
        "no layer shows it",
        lambda: [conv(8, 4, 3), adaptive(1), conv(4, 10, 1), flat()],
        ("2", "1"),
    ),
}
"""The near miss, its structure, its sentence; the twin, and the layers that show it."""


def verdict(network: nn.Module, structure: str) -> Verdict:
    (found,) = judge([parse_constraint(f"{structure} >= 1")], analyze(network, (8, 16, 16)))
    return found


def modules(steps: list[Step]) -> nn.Module:
    return nn.Sequential(*[step.module for step in steps])


@pytest.mark.parametrize("case", CASES)
def test_a_near_miss_of_modules_names_its_layers_and_the_reason(case: str) -> None:
    near, structure, sentence, twin, layers = CASES[case]
    missed = verdict(modules(near()), structure)
    assert (missed.state, missed.measured) == ("not met", "0")
    assert missed.evidence == sentence.format(*range(9))
    met = verdict(modules(twin()), structure)
    assert (met.state, met.measured, met.evidence) == ("met", "1", " + ".join(layers))


@pytest.mark.parametrize("case", CASES)
def test_a_near_miss_of_functions_names_its_operators_and_the_reason(case: str) -> None:
    near, structure, sentence, twin, layers = CASES[case]
    missed = verdict(Functional(near()), structure)
    assert (missed.state, missed.measured) == ("not met", "0")
    reason = sentence.partition(": ")[2] or sentence
    assert missed.evidence.endswith(reason)
    met = verdict(Functional(twin()), structure)
    assert (met.state, met.measured) == ("met", "1")
    assert len(met.evidence.split(" + ")) == len(layers)


@pytest.mark.parametrize("case", CASES)
def test_of_a_module_that_is_used_again_the_use_that_counts_is_told_from_the_near_miss(case: str) -> None:
    """Both networks side by side on one input, with the layers of the twin that it shares being the same."""
    near, structure, _, twin, layers = CASES[case]

    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.good, self.bad = modules(twin()), modules(near())

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            return self.good(x), self.bad(x), self.good(x + 1)

    found = verdict(Both(), structure)
    assert (found.state, found.measured) == ("met", "2")
    names = " + ".join(f"good.{layer}" for layer in layers)
    assert found.evidence == f"{names}; {names}"


def test_one_depthwise_module_counts_where_its_pointwise_one_follows_and_not_elsewhere() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.deep, self.point = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Conv2d(8, 8, 1)
            self.pool = nn.MaxPool2d(2)

        def forward(self, x: Tensor) -> Tensor:
            return self.pool(self.deep(self.point(self.deep(x))))

    findings = [f for f in analyze(Net(), (8, 16, 16)).findings if f.structure == "depthwise_separable"]
    assert [(f.found, f.layers) for f in findings] == [(True, ("deep", "point")), (False, ("deep",))]
    assert "max_pool2d comes next (the 1x1 before it doesn't count)" in findings[1].detail


def test_an_average_pool_used_twice_pools_globally_only_the_second_time() -> None:
    pool = nn.AvgPool2d(4)
    network = nn.Sequential(nn.Conv2d(8, 4, 3, padding=1), pool, nn.Conv2d(4, 4, 3, padding=1), pool)
    found = verdict(network, "gap")
    assert (found.state, found.measured) == ("met", "1")
