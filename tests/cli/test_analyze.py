from __future__ import annotations

import csv
import io
import json
from functools import partial

import pytest

from cifar_report.analyzer import Analysis
from tests.cli.program import call

run = partial(call, "analyze")


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


def test_csv_has_what_whole_modules_cost():
    rows = list(csv.DictReader(io.StringIO(run("document_003", "--format", "csv").stdout)))
    by_name = {row["name"]: row for row in rows}
    totals = json.loads(run("document_003", "--format", "json").stdout)["totals"]
    for figure in ("params", "macs", "flops", "elementwise", "dmas"):
        inside = [int(row[figure]) for row in rows if row["name"].startswith("transblock2")]
        assert int(by_name["transblock2"][f"subtree_{figure}"]) == sum(inside)
        assert int(by_name[""][f"subtree_{figure}"]) == totals[figure]


def test_the_default_is_the_tree():
    assert run("document_003").stdout == run("document_003", "--style", "tree").stdout


def test_another_input_gives_other_costs_and_the_same_parameters():
    small, large = (json.loads(run("document_003", "--input", s, "--format", "json").stdout)["totals"]
                    for s in ("3,32,32", "3x36x36"))  # fmt: skip
    assert small["params"] == large["params"]
    assert small["macs"] < large["macs"]


def test_style_and_format_exclude_each_other():
    result = call("analyze", "document_003", "--style", "tree", "--format", "json")
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


def test_density_is_a_line_of_the_totals_and_on_request_a_column():
    text = run("document_003").stdout
    assert "Density          100 % of the field before global pooling; 100 % at the output" in text
    assert not text.splitlines()[0].endswith("Density")
    assert run("document_003", "--density").stdout.splitlines()[0].endswith("Density")
    assert "| Density |" in run("document_003", "--density", "--format", "markdown").stdout
    assert run("document_003", "--density", "--format", "csv").stdout.splitlines()[0].endswith(",density")


def test_holes_and_shifts_of_a_network_are_told(tmp_path):
    file = tmp_path / "model.py"
    file.write_text(
        "from torch import nn\n"
        "class Net(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.stack = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=2, dilation=2) for _ in range(3)])\n"
        "        self.last = nn.Conv2d(3, 3, 3, dilation=2)\n"
        "    def forward(self, x):\n"
        "        x = self.stack(x)\n"
        "        return self.last(x) + x[:, :, 4:, 4:]\n"
    )
    text = run(str(file)).stdout
    assert "holes from stack.0 on (gridding: dilations 2, 2, 2, 2)" in text
    assert "1 of 1 join of branches off centre: add by 2 px (last; slice of stack.2)" in text
    coverage = json.loads(run(str(file), "--format", "json").stdout)["coverage"]
    assert coverage["holes"] == {"layer": "stack.0", "dilations": ["2"] * 4, "gap": [2, 1]}
    assert coverage["alignment"]["misaligned"][0]["offsets"] == [[0, 0], [2, 2]]
    assert coverage["layers"] is None


def test_what_a_network_prints_is_told_once(tmp_path):
    file = tmp_path / "model.py"
    file.write_text(
        "from torch import nn\n"
        "class Net(nn.Conv2d):\n"
        "    def __init__(self):\n"
        "        super().__init__(3, 3, 3)\n"
        "    def forward(self, x):\n"
        "        print('seen', x.shape)\n"
        "        return super().forward(x)\n"
    )
    result = run(str(file))
    assert result.stderr.count("seen") == 1
    assert "seen" not in result.stdout


def test_a_closed_tree_shows_what_whole_blocks_cost():
    rows = run("document_003", "--depth", "1").stdout.splitlines()
    block = next(row for row in rows if "convblock1" in row)
    assert "10,208" in block  # 864 + 9,216 + two normalisations of 64 each
    assert not any("convblock1.0" in row or "Conv2d" in row for row in rows)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--density", "--style", "torchscan"),
        ("--density", "--second-opinion"),
        ("--depth", "1", "--format", "csv"),
        ("--depth", "1", "--style", "torchsummary"),
        ("--depth", "1", "--second-opinion"),
    ],
)
def test_what_has_no_place_in_a_look_is_refused(arguments):
    result = run("document_003", *arguments)
    assert result.exit_code == 2
    assert arguments[0] in result.stderr
