"""`train --find-lr`, and what can't stand beside it."""

import csv
import json
import re
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cifar_report.cli.main import main
from cifar_report.trainer.rate_sweep import RULE

NETWORK = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
        )

class Fixed(nn.Linear):
    def __init__(self):
        super().__init__(3, 3)

    def forward(self, x):
        return 0 * super().forward(x.mean(dim=(2, 3)))
"""
FAST = ["--precision", "float32", "--memory-format", "contiguous", "--workers", "0", "--batch-size", "12"]
FILES = ["learning_rate.csv", "learning_rate.json", "learning_rate.svg"]


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORK)
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("test", 4)):
        for channel, name in enumerate(("red", "green", "blue")):
            folder = tmp_path / "colours" / split / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = rng.integers(0, 200, (32, 32, 3), dtype=np.uint8)
                pixels[..., channel] += 40
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return tmp_path


def call(*arguments, command="train", model="net.py:Net"):
    return CliRunner().invoke(main, [command, model, "--data", "colours", *FAST, *map(str, arguments)])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_rate_is_suggested_with_its_rule_and_nothing_of_a_run_is_begun(place):
    result = call("--find-lr", "--out", "rates")
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
    assert call("--find-lr").exit_code == 0
    assert names(place / "runs") == ["lr-colours-net-Net"]


def test_without_matplotlib_the_picture_is_missing_and_the_rest_is_there(place, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = call("--find-lr", "--out", "rates")
    assert result.exit_code == 0, result.stderr
    assert names(place / "rates") == FILES[:2]
    assert "pip install 'cifar-report[report]'" in result.stderr


def test_a_network_that_does_not_learn_gets_no_suggestion_and_an_exit_code_for_that(place):
    result = call("--find-lr", "--out", "rates", model="net.py:Fixed")
    assert result.exit_code == 4, result.stderr
    assert "no suggestion: the loss never clearly falls" in result.stdout
    assert json.loads((place / "rates" / "learning_rate.json").read_text())["suggestion"] is None


def test_a_folder_that_holds_something_is_refused_before_the_sweep(place):
    result = call("--find-lr", "--out", "colours")
    assert result.exit_code == 2
    assert "colours is not empty" in result.stderr
    assert names(place / "colours") == ["test", "train"]


@pytest.mark.parametrize("beside", [["--seeds", "0-1"], ["--resume", "runs/x"], ["--overfit-batch"]])
def test_it_stands_alone(place, beside):
    result = call("--find-lr", *beside)
    assert result.exit_code == 2
    assert re.search(rf"--find-lr begins no run, and can't stand beside {beside[0]}", result.stderr)


@pytest.mark.parametrize("option", ["--find-lr", "--overfit-batch"])
def test_there_is_nothing_to_report_of_a_trial(place, option):
    result = call(option, command="train-and-report")
    assert result.exit_code == 2
    assert "begin no run that a report could be of" in result.stderr
    assert names(place) == ["colours", "net.py"]
