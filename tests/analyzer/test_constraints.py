from __future__ import annotations

import pytest
import torch
from torch import nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.constraints import Verdict, exit_code, judge, parse_constraint
from cifar_report.analyzer.errors import UsageError


class Opaque(nn.Module):
    """Its second layer is an operator that no rule covers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return torch.geqrf(self.conv(x))[0]


def small() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.Conv2d(4, 2, (5, 1), bias=False))


def verdict(text: str, module: nn.Module | None = None, **measurements: float) -> Verdict:
    return judge([parse_constraint(text)], analyze(module or small(), (3, 16, 16)), measurements)[0]


@pytest.mark.parametrize(
    ("text", "bound"),
    [("params < 100k", 100_000), ("macs<=1.5M", 1_500_000), ("flops > 2G", 2_000_000_000),
     ("params < 1,000,000", 1_000_000), ("params < 100_000", 100_000), ("test_accuracy >= 87.5%", 87.5),
     ("  rf  >=  52  ", 52), ("params > .5", 0.5)],
)  # fmt: skip
def test_reads_numbers_with_separators_and_units(text, bound):
    assert parse_constraint(text).bound == bound


@pytest.mark.parametrize(
    ("text", "place", "expected"),
    [("rf 52", 3, "one of <"), ("rf >", 4, "a number"), ("rf > 5x", 6, "the end"), ("< 5", 0, "a metric"),
     ("", 0, "a metric"), ("params < 100K", 12, "the end"), ("rf => 5", 3, "one of <")],
)  # fmt: skip
def test_points_at_what_it_cannot_read(text, place, expected):
    with pytest.raises(UsageError) as caught:
        parse_constraint(text)
    lines = str(caught.value).splitlines()
    assert lines[1] == f"  {text}"
    assert lines[2].index("^") - 2 == place
    assert expected in caught.value.expected


def test_names_metrics_near_a_misspelt_one():
    with pytest.raises(UsageError, match="parms") as caught:
        parse_constraint("parms < 3")
    assert "params" in caught.value.hint


# 3*4*9 + 4*2*5 = 148 parameters; a 3x3 kernel, then 5x1: 7x3 pixels.
@pytest.mark.parametrize(
    ("text", "state", "measured", "margin"),
    [
        ("params <= 148", "met", "148", "0"),
        ("params < 148", "not met", "148", "0"),
        ("params < 1k", "met", "148", "+852"),
        ("params > 1k", "not met", "148", "-852"),
        ("params == 148", "met", "148", "0"),
        ("params == 150", "not met", "148", "-2"),
        ("params != 150", "met", "148", "+2"),
        ("rf >= 3", "met", "3 (7x3)", "0"),
        ("rf > 3", "not met", "3 (7x3)", "0"),
        ("test_accuracy >= 80", "not measured", None, None),
    ],
)
def test_judges_with_margin(text, state, measured, margin):
    found = verdict(text)
    assert (found.state, found.measured, found.margin) == (state, measured, margin)


def test_the_smaller_axis_counts_for_a_field_that_is_not_square():
    assert verdict("rf >= 7").state == "not met"


def test_a_measurement_of_the_run_is_judged():
    found = verdict("test_accuracy >= 87", test_accuracy=86.51)
    assert (found.state, found.measured, found.margin) == ("not met", "86.51", "-0.49")


@pytest.mark.parametrize("metric", ["macs", "flops", "dmas", "rf", "rf.before_gap"])
def test_an_operator_without_a_rule_makes_the_figure_unknown_and_is_named(metric):
    found = verdict(f"{metric} >= 1", Opaque())
    assert (found.state, found.measured) == ("unknown", None)
    assert "geqrf" in found.evidence


def test_what_the_unknown_operator_does_not_touch_stays_known():
    assert verdict("params <= 112", Opaque()).state == "met"


def test_counts_structures_and_names_near_misses():
    separable = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.ReLU(), nn.Conv2d(4, 8, 1))
    lone = nn.Sequential(nn.Conv2d(4, 4, 3, groups=4), nn.Conv2d(4, 8, 3))
    constraint = [parse_constraint("depthwise_separable >= 1")]
    met = judge(constraint, analyze(separable, (4, 8, 8)))[0]
    missed = judge(constraint, analyze(lone, (4, 8, 8)))[0]
    assert (met.state, met.evidence) == ("met", "0 + 2")
    assert missed.state == "not met"
    assert "without its pointwise" in missed.evidence


@pytest.mark.parametrize(
    ("texts", "code"),
    [(["params < 1k"], 0), (["params < 1k", "params < 10"], 1), (["params < 1k", "epochs <= 20"], 4),
     (["params < 10", "epochs <= 20"], 1)],
)  # fmt: skip
def test_exit_code_puts_a_violation_before_the_unknown(texts, code):
    verdicts = judge([parse_constraint(text) for text in texts], analyze(small(), (3, 16, 16)))
    assert exit_code(verdicts) == code
    assert exit_code(verdicts, allow_unknown=True) == (1 if code == 1 else 0)
