"""The networks that ship with the tool, held against the assignments that they are for."""

from __future__ import annotations

import pytest

from cifar_report.analyzer.assemble import analyze
from cifar_report.analyzer.assignments import assignment_ids, load_assignment
from cifar_report.analyzer.constraints import judge, parse_constraint
from cifar_report.analyzer.metrics import TRAINED
from cifar_report.models.registry import build, input_shape

MEANT = {
    "eva5-s7": ("eva5_s7",),
    "eva6-s7": ("flagship",),
    "eva6-s7-late": ("flagship", "residual"),
    "era-s8": ("flagship",),
    "era-s8-norms": ("era_s8_batch_norm", "era_s8_group_norm", "era_s8_layer_norm"),
    "era-s9": ("flagship",),
    "mnist-20k": ("mnist_20k",),
    "mnist-8k": ("mnist_8k",),
}
PAIRS = [(assignment, name) for assignment, found in MEANT.items() for name in found]


@pytest.mark.parametrize(("assignment", "name"), PAIRS)
def test_every_structural_constraint_is_met(assignment: str, name: str) -> None:
    constraints = [parse_constraint(text) for text in load_assignment(assignment).constraints]
    verdicts = judge(constraints, analyze(build(name), input_shape(name)))
    states = {verdict.constraint: verdict.state for verdict in verdicts if verdict.metric not in TRAINED}
    assert set(states.values()) == {"met"}, states
    assert {verdict.state for verdict in verdicts if verdict.metric in TRAINED} == {"not measured"}


def test_every_assignment_has_its_network() -> None:
    assert set(MEANT) == set(assignment_ids())


def test_the_transposed_convolution_makes_the_field_that_document_002_claims() -> None:
    analysis = analyze(build("transposed"))
    asked = ("rf.before_gap == 54", "depthwise_separable >= 2", "dilated >= 1", "params < 100k", "gap == 1",
             "layers(ConvTranspose2d) == 1")  # fmt: skip
    verdicts = judge(map(parse_constraint, asked), analysis)
    assert {verdict.state for verdict in verdicts} == {"met"}, verdicts
