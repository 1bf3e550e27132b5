from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cifar_report.analyzer import analyze
from cifar_report.analyzer.comparison import Figure, Row, compare
from cifar_report.models.registry import build
from tests.cli.program import call

run = partial(call, "compare")

UNKNOWN = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        return torch.geqrf(self.conv(x))[0]
"""


def rows(*arguments: str) -> dict[str, Any]:
    data = json.loads(run(*arguments, "--format", "json").stdout)
    return {row["label"]: row for row in data["rows"]}


def test_figures_are_those_of_each_network_alone() -> None:
    names = ("document_000", "document_001", "document_003")
    analyses = [analyze(build(name), (3, 32, 32)) for name in names]
    found = rows(*names)
    assert found["Parameters"]["values"] == [995710, 657146, 86816]
    assert found["MACs"]["values"] == [analysis.totals.macs for analysis in analyses]
    fields = [analysis.totals.receptive_field for analysis in analyses]
    assert found["Receptive field at the output [px]"]["values"] == [f.output.size[0] for f in fields]
    assert found["Receptive field before GAP [px]"]["values"] == [f.before_gap.size[0] for f in fields]
    assert found["Max pools"]["values"] == [3, 3, 0]
    assert found["Depthwise separable convolutions"]["values"][2] == 2


def test_differences_are_from_the_first_and_the_best_is_marked() -> None:
    found = rows("document_000", "document_003")
    params = found["Parameters"]
    assert params["differences_percent"] == [None, pytest.approx(100 * (86816 - 995710) / 995710)]
    assert params["best"] == [False, True]
    field = found["Receptive field at the output [px]"]
    assert field["best"] == [True, False]
    assert found["Max pools"]["best"] == [False, False]
    line = next(
        line for line in run("document_000", "document_003").stdout.splitlines() if "Parameters" in line
    )
    assert line.split() == ["Parameters", "995,710", "86,816,", "-91.3", "%,", "best"]


def test_a_network_is_no_better_than_itself() -> None:
    for row in rows("document_003", "document_003").values():
        assert not any(row["best"])
        assert row["differences_percent"][1] in (0, None)


def test_nothing_is_best_beside_something_unknown() -> None:
    row = Row("MACs", "lower", (Figure(10, "10"), Figure(None, "unknown"), Figure(0, "0")))
    assert row.best == (False, False, False)
    assert row.differences == (None, None, -100)
    assert Row("MACs", "lower", (Figure(0, "0"), Figure(5, "5"))).differences == (None, None)


def test_ties_share_the_mark() -> None:
    row = Row("MACs", "lower", (Figure(5, "5"), Figure(5, "5"), Figure(6, "6")))
    assert row.best == (True, True, False)


def test_an_unknown_figure_says_so(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(UNKNOWN, encoding="utf-8")
    result = run(str(file), "document_003", "--format", "json")
    found = {row["label"]: row for row in json.loads(result.stdout)["rows"]}
    assert found["MACs"]["values"][0] is None
    assert found["MACs"]["texts"][0] == "unknown"
    assert found["MACs"]["best"] == [False, False]
    assert "geqrf" in result.stderr


def test_markdown_has_a_column_per_network() -> None:
    lines = run("document_003", "document_004", "--format", "markdown").stdout.splitlines()
    assert lines[0] == "|  | document_003 | document_004 |"
    assert lines[1] == "| --- | ---: | ---: |"
    analyses = [analyze(build(name), (3, 32, 32)) for name in ("document_003", "document_004")]
    assert len(lines) == 2 + len(compare(analyses))


def test_the_input_is_the_same_for_all() -> None:
    small, large = (rows("document_003", "document_004", "--input", s)["MACs"]["values"]
                    for s in ("3,32,32", "3,40,40"))  # fmt: skip
    assert all(a < b for a, b in zip(small, large, strict=True))


def test_one_network_is_wrong_usage() -> None:
    result = run("document_003")
    assert result.exit_code == 2
    assert "analyze document_003" in result.stderr
