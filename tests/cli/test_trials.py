"""`train --find-lr`, and what can't stand beside it."""

import csv
import json
import re
import sys
from xml.etree import ElementTree

import pytest

from cifar_report.trainer.rate_sweep import RULE
from tests.cli.trainings import FAST, call, names

FIXED = """
from torch import nn

class Net(nn.Linear):
    def __init__(self):
        super().__init__(3, 3)

    def forward(self, x):
        return 0 * super().forward(x.mean(dim=(2, 3)))
"""
FILES = ["learning_rate.csv", "learning_rate.json", "learning_rate.svg"]


def trial(*arguments, command="train"):
    return call("net.py", "--data", "colours", *FAST, "--batch-size", 12, *arguments, command=command)


def test_a_rate_is_suggested_with_its_rule_and_nothing_of_a_run_is_begun(place):
    result = trial("--find-lr", "--out", "rates")
    assert result.exit_code == 0, result.stderr
    assert names(place) == ["colours", "net.py", "rates"]
    assert names(place / "rates") == FILES
    data = json.loads((place / "rates" / "learning_rate.json").read_text())
    assert f"--lr {data['suggestion']:.3g}: {RULE}" in result.stdout
    row = next(line for line in result.stdout.splitlines() if line.endswith("suggested"))
    assert float(row.split()[0]) == pytest.approx(data["suggestion"], rel=0.01)
    with (place / "rates" / "learning_rate.csv").open(newline="") as file:
        assert [float(r["loss"]) for r in csv.DictReader(file)] == [p["loss"] for p in data["points"]]
    assert ElementTree.parse(place / "rates" / "learning_rate.svg").getroot().tag.endswith("svg")
    assert "suggested" not in result.stderr


def test_without_a_place_it_gets_one_beside_the_runs(place):
    assert trial("--find-lr").exit_code == 0
    assert names(place / "runs") == ["lr-colours-net"]


def test_without_matplotlib_the_picture_is_missing_and_the_rest_is_there(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = trial("--find-lr", "--out", "rates")
    assert result.exit_code == 0, result.stderr
    assert names(place / "rates") == FILES[:2]
    assert "pip install 'cifar-report[report]'" in result.stderr


def test_a_network_that_does_not_learn_gets_no_suggestion_and_an_exit_code_for_that(place):
    (place / "net.py").write_text(FIXED)
    result = trial("--find-lr", "--out", "rates")
    assert result.exit_code == 4, result.stderr
    assert "no suggestion: the loss never clearly falls" in result.stdout
    assert json.loads((place / "rates" / "learning_rate.json").read_text())["suggestion"] is None


def test_a_folder_that_holds_something_is_refused_before_the_sweep(place):
    result = trial("--find-lr", "--out", "colours")
    assert result.exit_code == 2
    assert "colours is not empty" in result.stderr
    assert names(place / "colours") == ["test", "train"]


@pytest.mark.parametrize("beside", [["--seeds", "0-1"], ["--resume", "runs/x"], ["--overfit-batch"]])
def test_it_stands_alone(place, beside):
    result = trial("--find-lr", *beside)
    assert result.exit_code == 2
    assert re.search(rf"--find-lr begins no run, and can't stand beside {beside[0]}", result.stderr)


@pytest.mark.parametrize("option", ["--find-lr", "--overfit-batch"])
def test_there_is_nothing_to_report_of_a_trial(place, option):
    result = trial(option, command="train-and-report")
    assert result.exit_code == 2
    assert "begin no run that a report could be of" in result.stderr
    assert names(place) == ["colours", "net.py"]
