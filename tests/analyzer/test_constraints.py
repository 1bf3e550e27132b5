from __future__ import annotations

import importlib

import pytest
import torch
from torch import nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.augmentation import TRANSFORMS
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


def verdict(text: str, module: nn.Module | None = None, **measurements: object) -> Verdict:
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
     ("", 0, "a metric"), ("params < 100K", 12, "the end"), ("rf => 5", 3, "one of <"),
     ("layers == 0", 7, "a type of layer"), ("layers(Linear == 0", 6, "a type of layer"),
     ("gap == 1 or", 11, "a metric"), ("gap == 1 or rf 5", 15, "one of <"),
     ("device < cuda", 7, "== or !="), ("device == 3", 10, "a device"),
     ("params < 5 sustained 3 epochs", 11, "only test_accuracy"),
     ("test_accuracy > 5 sustained 0 epochs", 18, "at least 1"),
     ("test_accuracy > 5 sustained epochs", 18, "sustained N epochs"),
     ("test_accuracy == 5 sustained 3 epochs", 19, "<= >="),
     ("augmentation == ToGray", 13, "has"), ("augmentation has", 16, "a transform"),
     ("augmentation has ToGray(p=", 24, "a parameter"), ("augmentation has ToGray(p=x)", 26, "a number"),
     ("augmentation has ToGray(p=1 q=2)", 28, "a comma")],
)  # fmt: skip
def test_points_at_what_it_cannot_read(text, place, expected):
    with pytest.raises(UsageError) as caught:
        parse_constraint(text)
    lines = str(caught.value).splitlines()
    assert lines[1] == f"  {text}"
    assert lines[2].index("^") - 2 == place
    assert expected in caught.value.expected


@pytest.mark.parametrize(
    ("text", "place", "near"),
    [("parms < 3", 0, "params"), ("gap == 1 or rf.befor_gap > 44", 12, "rf.before_gap"),
     ("downsampling.strided == 3", 0, "downsampling.strided_3x3"), ("device == cudaa", 10, "cuda"),
     ("augmentation has CoarsDropout", 17, "CoarseDropout")],
)  # fmt: skip
def test_points_at_a_misspelt_name_and_gives_the_nearest(text, place, near):
    with pytest.raises(UsageError, match="there is no") as caught:
        parse_constraint(text)
    assert str(caught.value).splitlines()[2].index("^") - 2 == place
    assert near in caught.value.hint


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


class Functional(nn.Module):
    """Has a linear layer as a module, called twice, and one as a function."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(16, 16)

    def forward(self, x):
        return nn.functional.linear(self.linear(self.linear(x)), self.linear.weight)


@pytest.mark.parametrize(
    ("text", "module", "state", "measured"),
    [
        ("layers(Conv2d) == 2", None, "met", "2"),
        ("layers(Linear) == 0", None, "met", "0"),
        ("layers(Linear) == 0", Functional(), "not met", "2"),
        ("layers(Opaque) == 1", Opaque(), "met", "1"),
        ("layers(Liner) == 0", None, "unknown", None),
    ],
)
def test_counts_layers_of_a_type_once_each_and_never_passes_a_misspelt_one(text, module, state, measured):
    found = verdict(text, module)
    assert (found.state, found.measured) == (state, measured)
    assert state != "unknown" or "did you mean Linear" in found.evidence


def strided(*strides: int) -> nn.Sequential:
    convolutions = [nn.Conv2d(3, 3, 3, stride=stride, padding=1) for stride in strides]
    return nn.Sequential(*convolutions, nn.MaxPool2d(2), nn.Conv2d(3, 3, 3, padding=2, dilation=2))


@pytest.mark.parametrize(
    ("text", "state", "measured"),
    [
        ("downsampling.strided_3x3 == 2", "met", "2"),
        ("downsampling.strided_5x5 == 0", "met", "0"),
        ("downsampling.max_pool == 1", "met", "1"),
        ("downsampling.avg_pool >= 1", "not met", "0"),
        ("downsampling == 3", "met", "3"),
        ("blocks == 4", "not met", "3"),
        ("downsampling.strided_3x3 == 3 or dilated >= 1", "met", "1"),
        ("downsampling.strided_3x3 == 3 or dilated >= 2", "not met", "2"),
        ("downsampling.strided_3x3 == 3 or epochs < 9", "not measured", None),
    ],
)
def test_counts_how_the_map_shrinks_and_takes_either_of_a_choice(text, state, measured):
    """Two strided convolutions end blocks of one and two; the pool ends the second, which has none."""
    found = verdict(text, strided(2, 1, 2))
    assert (found.state, found.measured) == (state, measured)
    assert found.constraint == text
    assert found.required in text


@pytest.mark.parametrize(
    ("history", "state", "measured", "margin"),
    [
        ((99.0, 99.4, 99.5, 99.41), "met", "99.40", "0"),
        ((99.5, 99.4, 99.39, 99.6), "not met", "99.39", "-0.01"),
        ((99.5, 99.6), "not met", "too few epochs", None),
    ],
)
def test_sustained_asks_for_each_of_the_last_epochs(history, state, measured, margin):
    run = {"test_accuracy": history[-1], "test_accuracy.history": history}
    found = verdict("test_accuracy >= 99.4 sustained 3 epochs", **run)
    assert (found.state, found.measured, found.margin) == (state, measured, margin)


@pytest.mark.parametrize(("device", "state"), [("cuda:1", "met"), ("cpu", "not met")])
def test_a_device_is_judged_by_its_kind(device, state):
    assert verdict("device == cuda", device=device).state == state


@pytest.mark.parametrize(
    "text", ["device == cuda", "augmentation has ToGray", "test_accuracy >= 9 sustained 2 epochs"]
)
def test_what_takes_a_run_is_not_measured_without_one(text):
    assert verdict(text).state == "not measured"


PIPELINE = [
    {"name": "HorizontalFlip", "parameters": {"p": 0.3}},
    {"name": "Affine", "parameters": {
        "p": 0.5, "rotate": [-30.0, 30.0], "scale": {"x": [0.9, 1.1], "y": [0.9, 1.1]},
        "translate_percent": {"x": [-0.1, 0.1], "y": [-0.1, 0.1]}}},
    {"name": "CoarseDropout", "parameters": {
        "p": 0.5, "fill": [125.0, 123.0, 114.0], "hole_height_range": [16, 16],
        "hole_width_range": [16, 16], "num_holes_range": [1, 2]}},
]  # fmt: skip


@pytest.mark.parametrize(
    ("wanted", "state", "told"),
    [
        ("HorizontalFlip", "met", ""),
        ("HorizontalFlip(p=0.3)", "met", ""),
        ("HorizontalFlip(p=0.5)", "not met", "p=0.3"),
        ("CoarseDropout(height=16, width=16)", "met", ""),
        ("CoarseDropout(holes=1, height=16)", "not met", "holes=(1, 2)"),
        ("CoarseDropout(holes=(1, 2), fill=(125, 123, 114))", "met", ""),
        ("CoarseDropout(hole=1)", "unknown", "did you mean holes"),
        ("ShiftScaleRotate(shift=0.1, scale=0.1, rotate=30)", "met", ""),
        ("ShiftScaleRotate(shift_limit=0.1, scale_limit=0.2)", "not met", "scale_limit=(0.9, 1.1)"),
        ("Affine(rotate=45)", "not met", "rotate=(-30, 30)"),
        ("ToGray", "not met", "HorizontalFlip, Affine, CoarseDropout"),
    ],
)
def test_a_transform_counts_by_the_parameters_in_force(wanted, state, told):
    found = verdict(f"augmentation has {wanted}", augmentation=PIPELINE)
    assert found.state == state
    assert told in found.evidence


def test_affine_that_only_turns_is_no_shift_scale_rotate():
    still = {"x": [1.0, 1.0], "y": [1.0, 1.0]}
    turn = {
        "name": "Affine",
        "parameters": {"rotate": [-9.0, 9.0], "scale": still, "translate_percent": None},
    }
    assert verdict("augmentation has ShiftScaleRotate", augmentation=[turn]).state == "not met"


def test_images_that_go_in_as_they_are_have_no_transform():
    assert "as they are" in verdict("augmentation has ToGray", augmentation=[]).evidence


def test_the_transforms_that_can_be_misspelt_are_the_librarys(monkeypatch):
    monkeypatch.setenv("NO_ALBUMENTATIONS_UPDATE", "1")
    albumentations = importlib.import_module("albumentations")
    bases = {"BasicTransform", "DualTransform", "ImageOnlyTransform", "Transform3D"}
    kinds = {name: kind for name, kind in vars(albumentations).items() if isinstance(kind, type)}
    theirs = {name for name, kind in kinds.items() if issubclass(kind, albumentations.BasicTransform)}
    assert set(TRANSFORMS) == theirs - bases
