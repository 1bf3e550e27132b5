from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.cli.program import call

run = partial(call, "check")


def test_document_003_meets_its_two_bounds():
    result = run("document_003", "--max-params", "100000", "--min-rf", "52")
    assert result.exit_code == 0
    assert "86,816" in result.stdout
    assert "+13,184" in result.stdout
    assert "+15" in result.stdout


def test_document_003_misses_a_field_of_70_and_says_67():
    result = run("document_003", "--max-params", "100000", "--min-rf", "70")
    assert result.exit_code == 1
    line = next(line for line in result.stdout.splitlines() if line.startswith("rf >= 70"))
    assert line.split()[:10] == ["rf", ">=", "70", "✗", "not", "met", ">=", "70", "67", "-3"]


def test_bounds_are_inclusive():
    assert run("document_003", "--max-params", "86816", "--min-rf", "67").exit_code == 0
    assert run("document_003", "--max-params", "86815").exit_code == 1
    assert run("document_003", "--min-rf", "68").exit_code == 1


def test_units_are_read():
    assert run("document_003", "--max-params", "100k", "--max-macs", "19.2M").exit_code == 0
    assert run("document_003", "--max-macs", "19M").exit_code == 1


def test_an_assignment_is_checked_and_what_needs_training_is_open():
    result = run("document_003", "--assignment", "eva6-s7-late")
    assert result.exit_code == 1
    assert "not measured" in result.stdout
    dilated = run("document_003", "--require", "test_accuracy >= 87")
    assert dilated.exit_code == 4
    assert run("document_003", "--require", "test_accuracy >= 87", "--allow-unknown").exit_code == 0


def test_json_carries_every_verdict_and_the_exit_code():
    result = run("document_003", "--max-params", "100k", "--min-rf", "70", "--format", "json")
    data = json.loads(result.stdout)
    assert data["exit_code"] == result.exit_code == 1
    assert [verdict["state"] for verdict in data["verdicts"]] == ["met", "not met"]
    assert data["verdicts"][1]["measured"] == "67"
    assert set(data["verdicts"][0]) == {
        "constraint", "metric", "state", "required", "measured", "margin", "evidence"
    }  # fmt: skip


def test_markdown_is_a_table():
    lines = run("document_003", "--max-params", "100k", "--format", "markdown").stdout.splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert len(lines) == 3


def test_results_go_to_the_file_and_talk_to_standard_error(tmp_path: Path):
    target = tmp_path / "verdict.json"
    result = run("document_003", "--max-params", "10", "--format", "json", "-o", str(target))
    assert result.exit_code == 1
    assert result.stdout == ""
    assert "1 not met" in result.stderr
    assert json.loads(target.read_text())["exit_code"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "there is nothing to check"),
        (["--max-params", "many"], "--max-params 'many' is not a number"),
        (["--require", "parms < 3"], "there is no metric 'parms'"),
        (["--require", "rf 3"], "can't read the constraint"),
        (["--assignment", "eva9"], "there is no assignment 'eva9'"),
        (["--max-params", "1k", "--input", "3,32"], None),
        (["--max-params", "1k", "--input", "3,a,32"], "--input '3,a,32' is not a shape"),
        (["--max-params", "1k", "--input", "3,0,32"], "is not a shape"),
        (["--max-params", "1k", "--format", "yaml"], "'yaml' is not one of"),
    ],
)
def test_wrong_usage_says_what_is_wrong(arguments, message):
    result = run("document_003", *arguments)
    assert "Traceback" not in result.stderr
    if message is None:  # a network for images gets something else: it is the network that can't run
        assert result.exit_code == 3
    else:
        assert result.exit_code == 2
        assert message in result.stderr


HEADER = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    """

FAULTY = {
    "raises": (
        "def forward(self, x):\n        x = self.conv(x)\n        raise ValueError('too\\nlate')",
        "too",
    ),
    "wants_another_shape": ("def forward(self, x):\n        return self.conv(x[:, :1])", "conv"),
    "needs_an_argument": ("def forward(self, x, y):\n        return self.conv(x)", "y"),
    "returns_nothing": ("def forward(self, x):\n        self.conv(x)", "NoneType"),
    "exits": ("def forward(self, x):\n        raise SystemExit(0)", "SystemExit"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_network_that_cannot_run_is_exit_code_3(fault, tmp_path):
    body, word = FAULTY[fault]
    path = tmp_path / "net.py"
    path.write_text(HEADER + body + "\n")
    result = run(path, "--max-params", "1k")
    assert result.exit_code == 3
    assert result.stdout == ""
    assert word in result.stderr
    assert "Traceback" not in result.stderr


def test_a_network_that_prints_does_not_disturb_the_result(tmp_path):
    path = tmp_path / "net.py"
    body = "def forward(self, x):\n        print('shape', x.shape)\n        return self.conv(x)\n"
    path.write_text(f"print('importing')\n{HEADER}{body}")
    result = run(str(path), "--max-params", "1k", "--format", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["verdicts"][0]["measured"] == "224"
