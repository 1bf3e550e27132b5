from __future__ import annotations

import csv
import io
import json

import pytest
from click.testing import CliRunner, Result

from cifar_report.analyzer import Analysis
from cifar_report.cli.main import main


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["analyze", *arguments])


def test_json_is_the_analysis_itself():
    result = run("document_003", "--format", "json")
    analysis = Analysis.from_json(result.stdout)
    data = json.loads(result.stdout)
    assert data["schema_version"] == 1
    assert data["input_shape"] == [3, 32, 32]
    assert data["rung"] == "meta"
    assert data["totals"]["params"] == sum(layer["params"] for layer in data["layers"]) == 86816
    fields = data["totals"]["receptive_field"]
    assert fields["output"]["size"] == [67, 67]
    assert fields["before_gap"]["size"] == [55, 55]
    assert fields["before_gap"]["stride"] == [4, 4]
    assert fields["output"]["kind"] == fields["before_gap"]["kind"] == "local"
    assert {"index", "name", "type", "output_shape", "params", "macs", "flops", "receptive_field"} <= set(
        data["layers"][0]
    )
    assert analysis.to_json() + "\n" == result.stdout


def test_csv_has_a_row_per_layer():
    rows = list(csv.DictReader(io.StringIO(run("document_003", "--format", "csv").stdout)))
    analysis = Analysis.from_json(run("document_003", "--format", "json").stdout)
    assert len(rows) == len(analysis.layers)


def test_the_default_is_the_tree():
    assert run("document_003").stdout == run("document_003", "--style", "tree").stdout


def test_another_input_gives_other_costs_and_the_same_parameters():
    small, large = (json.loads(run("document_003", "--input", s, "--format", "json").stdout)["totals"]
                    for s in ("3,32,32", "3x36x36"))  # fmt: skip
    assert small["params"] == large["params"]
    assert small["macs"] < large["macs"]


def test_style_and_format_exclude_each_other():
    result = CliRunner().invoke(main, ["analyze", "document_003", "--style", "tree", "--format", "json"])
    assert result.exit_code != 0


def test_a_second_opinion_stands_beside_ours():
    text = run("document_003", "--second-opinion").stdout
    assert "fvcore adds batch_norm" in text
    assert "19,194,880" in text
    result = run("document_003", "--second-opinion", "--format", "json")
    assert Analysis.from_json(result.stdout).totals.params == 86816
    tools = {tool["tool"]: tool for tool in json.loads(result.stdout)["second_opinion"]["tools"]}
    assert tools["fvcore"]["params"] == tools["torchscan"]["params"] == 86816


@pytest.mark.parametrize("other", [("--format", "csv"), ("--style", "tree")])
def test_a_second_opinion_has_one_look(other):
    result = run("document_003", "--second-opinion", *other)
    assert result.exit_code == 2
    assert other[0] in result.stderr
