from __future__ import annotations

import pytest

from cifar_report.analyzer import analyze
from cifar_report.analyzer.assignments import assignment_ids, load_assignment
from cifar_report.analyzer.constraints import judge, parse_constraint
from cifar_report.analyzer.errors import UsageError
from cifar_report.models.registry import build

GOOD = 'id = "mine"\ntitle = "Mine"\nconstraints = ["params < 5k"]\n'


def test_the_eight_built_in_assignments_are_there_and_readable():
    ids = {"eva5-s7", "eva6-s7", "eva6-s7-late", "era-s9", "era-s8", "era-s8-norms", "mnist-20k", "mnist-8k"}
    assert set(assignment_ids()) == ids
    for name in ids:
        assignment = load_assignment(name)
        assert assignment.id == name
        assert assignment.prose
        assert any(constraint.startswith("params < ") for constraint in assignment.constraints)


def test_the_late_assignment_is_stricter_than_the_first():
    late = set(load_assignment("eva6-s7-late").constraints)
    assert {"params < 100k", "rf > 52", "depthwise_separable >= 2", "fc_after_gap == 0"} <= late


def test_reads_a_users_own_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert load_assignment(str(path)).constraints == ("params < 5k",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id = ", "not valid TOML"),
        (GOOD + 'colour = "red"\n', "unknown key 'colour'"),
        ('id = "mine"\ntitle = 3\nconstraints = []\n', "title in .* wrong type"),
        ('id = "mine"\ntitle = "Mine"\n', "lacks constraints"),
        (GOOD.replace("params", "parms"), "no metric 'parms'"),
        (GOOD.replace('"params < 5k"', "5"), "constraints in .* has 5"),
        (GOOD.replace("< 5k", "less than 5k"), "can't read the constraint"),
    ],
)
def test_says_what_is_wrong_in_a_file(tmp_path, text, message):
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message):
        load_assignment(str(path))


def test_names_assignments_near_a_misspelt_one():
    with pytest.raises(UsageError) as caught:
        load_assignment("eva6-s7-lat")
    assert "eva6-s7-late" in caught.value.hint


@pytest.mark.parametrize(
    ("network", "assignment", "missed"),
    [
        ("document_000", "eva5-s7", {"depthwise_separable >= 1"}),
        ("document_003", "eva6-s7-late", {"downsampling.strided_3x3 == 3 or dilated >= 2", "dilated >= 1"}),
        ("document_004", "era-s8", set()),
    ],
)
def test_the_documents_networks_miss_what_their_own_text_shows(network, assignment, missed):
    constraints = [parse_constraint(text) for text in load_assignment(assignment).constraints]
    verdicts = judge(constraints, analyze(build(network)))
    assert {verdict.constraint for verdict in verdicts if verdict.state == "not met"} == missed
    unmeasured = {verdict.metric for verdict in verdicts if verdict.state == "not measured"}
    assert unmeasured <= {"test_accuracy", "device", "augmentation"}
    assert "test_accuracy" in unmeasured
