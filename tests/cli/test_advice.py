"""`check --advise` on the command line."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from functools import partial
from pathlib import Path

import pytest

from tests.analyzer.failing_networks import FUNCTIONAL
from tests.cli.program import call

run = partial(call, "check")

ROOT = Path(__file__).parents[2]
FIELD = ("--require", "rf > 50", "--require", "params < 40k", "--require", "test_accuracy >= 80")


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.py").write_text(FUNCTIONAL, encoding="utf-8")
    return "model.py"


def test_the_table_is_followed_by_proposals_with_a_diff_that_applies(model: str):
    result = run(model, *FIELD, "--advise")
    assert result.exit_code == 1
    table, _, advice = result.stdout.partition("Advice: ")
    assert "✗ not met" in table
    assert "conv3 (Conv2d): dilation 1 -> 3, padding 1 -> 3" in advice
    rows = [line.split() for line in advice.splitlines() if line.startswith("   rf > 50")]
    assert rows[0] == ["rf", ">", "50", "✗", "45", "✓", "53"]
    assert "   1 more" in advice  # the accuracy, which only training tells
    first = "--- a/model.py" + advice.split("--- a/model.py")[1].split("\n\n2. ")[0] + "\n"
    done = subprocess.run(["git", "apply", "-"], input=first, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert run(model, "--require", "rf > 50", "--require", "params < 40k").exit_code == 0


def test_json_has_the_advice_beside_the_verdicts(model: str):
    result = run(model, *FIELD, "--advise", "--format", "json")
    data = json.loads(result.stdout)
    assert result.exit_code == data["exit_code"] == 1
    proposal = data["advice"]["proposals"][0]
    assert proposal["layers"] == ["conv3 (Conv2d): dilation 1 -> 3, padding 1 -> 3"]
    assert [verdict["state"] for verdict in proposal["verdicts"]] == ["met", "met", "not measured"]
    assert proposal["diff"].startswith("--- a/model.py\n+++ b/model.py\n")
    assert data["advice"]["nearest"] is None


def test_markdown_has_the_diff_in_a_fence(model: str):
    result = run(model, *FIELD, "--advise", "--format", "markdown")
    assert "### Advice" in result.stdout
    assert "\n```diff\n--- a/model.py\n" in result.stdout
    assert "| rf > 50 | ✗ 45 | ✓ 53 |" in result.stdout


def test_nothing_is_advised_where_nothing_is_missed(model: str):
    result = run(model, "--require", "params < 40k", "--advise")
    assert result.exit_code == 0
    assert "Nothing to advise: no constraint is missed." in result.stdout
    data = json.loads(run(model, "--require", "params < 40k", "--advise", "--format", "json").stdout)
    assert data["advice"] is None


def test_what_cannot_be_met_is_said_with_the_change_that_comes_nearest(model: str):
    result = run(model, "--require", "gap == 7", "--advise")
    assert result.exit_code == 1
    assert "Advice: no change was found that meets everything" in result.stdout


def test_a_format_without_a_place_for_advice_is_wrong_usage(model: str):
    assert run(model, *FIELD, "--advise", "--format", "junit").exit_code == 2


def test_a_built_in_network_s_diff_names_its_file():
    result = run("document_003", "--require", "dilated >= 1", "--advise")
    assert "document_003.py\n" in result.stdout
    assert "✓ 1" in result.stdout


def test_the_readme_shows_what_is_printed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(
        r"<!-- advice: cifar-report (.*?) -->\n```text\n(.*?)```\n<!-- /advice -->", text, re.DOTALL
    )
    assert block is not None
    result = call(*shlex.split(block[1]))
    assert block[2] in result.stdout
