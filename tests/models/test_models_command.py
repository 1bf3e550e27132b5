"""`cifar-report models`: what it lists, and where it writes it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from markdown_it import MarkdownIt

from cifar_report.cli.main import main
from cifar_report.models.registry import build, names

# Parameters as the documents print them, and each field worked out by hand:
# (k - 1) * dilation steps of the grid that a kernel runs on, summed up, plus one.
FIELDS = {
    # 2+2, pool 1 -> grid 2: 2, pool 1 -> grid 4: 2*2, pool 1 -> grid 8: 2
    "document_000": (
        1 + 2 + 2 + 1 + 2 * (2 + 1) + 4 * (4 + 1) + 8 * 2,
        1 + 2 + 2 + 1 + 2 * (2 + 1) + 4 * (4 + 1) + 8 * (2 + 4),
    ),
    # 3x1 and 1x3 add one kernel to each axis
    "document_001": (
        1 + 2 + 2 + 1 + 2 * (2 + 1) + 4 * (2 + 4 + 1) + 8 * (2 + 2),
        1 + 2 + 2 + 1 + 2 * (2 + 1) + 4 * (2 + 4 + 1) + 8 * (2 + 2 + 4),
    ),
    "document_003": (
        1 + 2 + 2 + 2 + 2 * (2 + 2) + 4 * (2 + 2 + 2 + 2 + 2),
        1 + 2 + 2 + 2 + 2 * (2 + 2) + 4 * (2 + 2 + 2 + 2 + 2 + 3),
    ),
    # stride 1 throughout; the pooling takes in the whole 24x24 map
    "document_004": (
        1 + 2 * 2 + 4 + 2 * 4 + 4 + 2 * 2,
        1 + 2 * 2 + 4 + 2 * 4 + 4 + 2 * 2 + 23,
    ),
    # two max pools; the pooling at the end takes in the whole 8x8 map
    "era_s8_batch_norm": (
        1 + 2 + 2 + 1 + 2 * (2 + 2 + 2 + 1) + 4 * (2 + 2 + 2),
        1 + 2 + 2 + 1 + 2 * (2 + 2 + 2 + 1) + 4 * (2 + 2 + 2 + 7),
    ),
    # these normalise over whole maps, so that every unit sees everything
    "era_s8_group_norm": (None, None),
    "era_s8_layer_norm": (None, None),
    # three max pools; the pooling at the end takes in the whole 4x4 map
    "eva5_s7": (
        1 + 2 + 2 + 1 + 2 * (2 + 2 + 1) + 4 * (4 + 2 + 1) + 8 * 2,
        1 + 2 + 2 + 1 + 2 * (2 + 2 + 1) + 4 * (4 + 2 + 1) + 8 * (2 + 3),
    ),
    "flagship": (
        1 + 2 + 2 + 2 * (4 + 4 + 8 + 2) + 4 * (4 + 4 + 2),
        1 + 2 + 2 + 2 * (4 + 4 + 8 + 2) + 4 * (4 + 4 + 2) + 8 * 3,
    ),
    # two max pools on 28x28, the pooling at the end takes in the whole 7x7 map
    "mnist_20k": (
        1 + 2 + 2 + 1 + 2 * (2 + 1) + 4 * (2 + 2),
        1 + 2 + 2 + 1 + 2 * (2 + 1) + 4 * (2 + 2 + 6),
    ),
    "mnist_8k": (
        1 + 2 + 2 + 1 + 2 * (2 + 1) + 4 * (2 + 2),
        1 + 2 + 2 + 1 + 2 * (2 + 1) + 4 * (2 + 2 + 6),
    ),
    "residual": (
        1 + 2 + 2 + 2 + 2 * (2 + 2 + 4 + 2) + 4 * (2 + 2 + 4),
        1 + 2 + 2 + 2 + 2 * (2 + 2 + 4 + 2) + 4 * (2 + 2 + 4 + 7),
    ),
    # On a grid of 4 the 3x3 kernel behind the transposed one reads three units, and the pooling at the end
    # all eight with one more on either side.
    "transposed": (
        1 + 2 + 2 + 1 + 2 * (2 + 4 + 2) + 4 * (2 + 2 + 2 + 2),
        1 + 2 + 2 + 1 + 2 * (2 + 4 + 2) + 4 * (2 + 2 + 2 + 9),
    ),
}


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, ["models", *arguments], prog_name="cifar-report")
    assert result.exit_code == 0, result.output
    return result


def test_json_lists_every_network_with_parameters_and_both_fields() -> None:
    listed = {model["name"]: model for model in json.loads(run("--format", "json").stdout)["models"]}
    assert tuple(listed) == names()
    for name, model in listed.items():
        assert model["params"] == sum(parameter.numel() for parameter in build(name).parameters())
        for place, field in zip(("before_gap", "output"), FIELDS[name], strict=True):
            found = model["receptive_field"][place]
            assert found["kind"] == ("global" if field is None else "local"), name
            assert field is None or found["size"] == [field, field], name


def test_the_table_has_a_line_for_each_network() -> None:
    text = run().stdout
    lines = {line.split()[0]: line for line in text.splitlines() if line.startswith(names())}
    assert tuple(lines) == names()
    assert lines["document_003"].split()[1] == "86,816"
    assert lines["document_003"].split()[3:5] == ["55", "67"]
    assert "\x1b" not in text


def test_markdown_is_a_table_with_a_row_for_each_network() -> None:
    html = MarkdownIt("gfm-like").render(run("--format", "markdown").stdout)
    rows = html.split("<tr>")[2:]
    assert [row.count("<td") for row in rows] == [6] * len(names())


@pytest.mark.parametrize("style", ["table", "json", "markdown"])
def test_a_file_gets_what_the_screen_would(style: str, tmp_path: Path) -> None:
    target = tmp_path / "models.txt"
    assert run("--format", style, "-o", str(target)).stdout == ""
    assert target.read_text().split() == run("--format", style).stdout.split()


def test_an_unknown_format_is_wrong_usage() -> None:
    result = CliRunner().invoke(main, ["models", "--format", "yaml"], prog_name="cifar-report")
    assert result.exit_code == 2
    assert "yaml" in result.stderr
