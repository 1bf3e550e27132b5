"""Metrics that users add by an entry point: a package with its metadata, as pip would install it."""

from __future__ import annotations

import sys

import pytest
from torch import nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.constraints import judge, parse_constraint
from cifar_report.analyzer.errors import UsageError

CODE = """
from cifar_report.analyzer.metrics import Reading

def widest(analysis):
    return max(layer.output_shape[1] for layer in analysis.layers)

def told(analysis):
    return Reading(3, "the third one")

def nothing(analysis):
    return None

def broken(analysis):
    raise KeyError("width")

def text(analysis):
    return "wide"
"""
NAMES = ("widest", "told", "nothing", "broken", "text", "absent")


@pytest.fixture(autouse=True)
def package(tmp_path, monkeypatch):
    (tmp_path / "their_metrics.py").write_text(CODE)
    info = tmp_path / "their_metrics-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-metrics\nVersion: 1.0\n")
    lines = [f"net.{name} = their_metrics:{name}" for name in NAMES]
    (info / "entry_points.txt").write_text("[cifar_report.metrics]\n" + "\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("their_metrics", None)


def judged(text: str):
    network = nn.Sequential(nn.Conv2d(3, 7, 3), nn.Conv2d(7, 2, 3))
    return judge([parse_constraint(text)], analyze(network, (3, 8, 8)))[0]


def test_a_function_of_the_analysis_is_a_metric():
    found = judged("net.widest <= 8")
    assert (found.state, found.measured, found.margin) == ("met", "7", "+1")


def test_a_reading_brings_its_evidence_and_none_is_unknown():
    assert judged("net.told == 3").evidence == "the third one"
    assert judged("net.nothing == 3").state == "unknown"


def test_nothing_of_theirs_is_imported_for_a_built_in_metric():
    assert judged("params > 1").state == "met"
    assert "their_metrics" not in sys.modules


def test_a_misspelt_one_is_offered_with_the_others():
    with pytest.raises(UsageError) as caught:
        parse_constraint("net.widst < 3")
    assert "net.widest" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "found"),
    [("broken", "KeyError: 'width'"), ("text", "it returned str"), ("absent", "AttributeError")],
)
def test_one_that_fails_is_one_clear_error(name, found):
    with pytest.raises(UsageError, match=f"the metric net.{name} of their-metrics fails") as caught:
        judged(f"net.{name} < 3")
    assert found in caught.value.found
