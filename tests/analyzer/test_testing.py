from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from torch import nn

from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.analyzer.testing import assert_constraints


def network() -> nn.Module:
    """3*4*9 + 4 = 112 parameters, a field of 3 pixels."""
    return nn.Sequential(nn.Conv2d(3, 4, 3))


def test_a_network_that_meets_them_passes():
    assert_constraints(network(), ["params == 112", "rf == 3"], input_shape=(3, 8, 8))


def test_the_message_shows_every_verdict_with_margin_and_evidence():
    with pytest.raises(AssertionError) as caught:
        assert_constraints(network(), ["params < 1k", "rf > 5", "epochs < 3"])
    heading, titles, *rows = str(caught.value).splitlines()
    assert heading == "Sequential misses 2 of 3 constraints"
    assert titles.split() == ["constraint", "verdict", "measured", "margin", "evidence"]
    assert rows[0].split()[:6] == ["params", "<", "1k", "met", "112", "+888"]
    assert rows[1].split()[:7] == ["rf", ">", "5", "not", "met", "3", "-2"]
    assert "not measured" in rows[2]
    words = ["verdict", "met", "not", "not"]
    assert len({row.index(word) for row, word in zip([titles, *rows], words, strict=True)}) == 1


def test_one_constraint_needs_no_list_and_several_inputs_are_taken():
    assert_constraints(network(), "params == 112", input_shape=(3, 8, 8))
    assert_constraints(nn.Bilinear(4, 4, 2), "params == 34", inputs=[(4,), (4,)])


def test_no_constraints_hold_for_nothing():
    with pytest.raises(ValueError, match="no constraints"):
        assert_constraints(network(), [])


def test_what_cannot_be_judged_is_no_failed_assertion():
    with pytest.raises(UsageError):
        assert_constraints(network(), ["parms < 3"])
    with pytest.raises(ModelError):
        assert_constraints(network(), ["rf > 1"], input_shape=(5, 8, 8))


SUITE = """
from torch import nn

def test_held(assert_constraints):
    assert_constraints(nn.Conv2d(3, 4, 3), ["params == 112"])

def test_missed(assert_constraints):
    assert_constraints(nn.Conv2d(3, 4, 3), ["params < 1k", "rf > 5"])  # the line

def test_misspelt(assert_constraints):
    assert_constraints(nn.Conv2d(3, 4, 3), ["parms < 1k"])  # the other line

def test_broken(assert_constraints):
    assert_constraints(nn.Conv2d(5, 4, 3), ["params < 1k"])  # the last line
"""


def suite(folder: Path, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder of its own, as a user of the installed package does."""
    (folder / "test_them.py").write_text(text)
    (folder / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, *arguments, "-m", "pytest", "-p", "no:cacheprovider", "--color=no"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "120"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_the_fixture_is_there_by_itself_and_a_failure_shows_the_line_and_the_table_alone(tmp_path):
    done = suite(tmp_path, SUITE)
    assert done.returncode == 1
    failures = done.stdout.partition("= FAILURES =")[2]
    assert "3 failed, 1 passed" in failures
    lines = failures.splitlines()
    (mark,) = [number for number, line in enumerate(lines) if line.endswith("# the line")]
    assert lines[mark].startswith(">")
    said = [line.removeprefix("E   ").strip() for line in lines[mark:] if line.startswith("E   ")]
    assert said[0].endswith("AssertionError: Conv2d misses 1 of 2 constraints")
    assert said[1].split() == ["constraint", "verdict", "measured", "margin", "evidence"]
    assert said[2].startswith("params < 1k  met      112       +888")
    assert said[3].startswith("rf > 5       not met  3         -2")
    assert next(line for line in lines[mark:] if line.startswith("test_them.py:")).startswith(
        "test_them.py:8: "
    )
    assert "there is no metric 'parms'" in failures
    assert "did you mean params" in failures
    assert "cifar_report/analyzer" not in failures.replace("\\", "/")  # none of our own frames
    assert "FAILED test_them.py::test_missed - AssertionError: Conv2d misses 1 of 2 constraints" in failures


def test_a_suite_that_does_not_ask_loads_nothing_and_keeps_a_fixture_of_its_own(tmp_path):
    text = (
        "import sys, pytest\n\n"
        "@pytest.fixture\ndef assert_constraints():\n    return 'mine'\n\n"
        "def test_mine(assert_constraints):\n    assert assert_constraints == 'mine'\n"
        "    assert 'cifar_report.analyzer.pytest_plugin' in sys.modules\n"
        "    assert not {'torch', 'numpy', 'rich', 'click'} & set(sys.modules)\n"
    )
    done = suite(tmp_path, text, "-W", "error")
    assert done.returncode == 0, done.stdout


def test_the_package_tells_pytest_of_the_fixture():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"cifar-report": "cifar_report.analyzer.pytest_plugin"}
