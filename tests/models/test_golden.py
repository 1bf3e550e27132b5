"""The printed tables come out of `analyze` and the summaries, row by row and total by total."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.assemble import analyze
from cifar_report.analyzer.summary import torchscan_table, torchsummary_table, tree_table
from cifar_report.models.document_003 import Net as Net003
from cifar_report.models.registry import build, names

DATA = Path(__file__).parent.parent / "data"
DOCUMENTS = [name for name in names() if name.startswith("document_")]


def table(name: str) -> dict[str, Any]:
    """Return the printed numbers of a document."""
    data: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    return data


@cache
def analysis(name: str) -> Analysis:
    """Return the analysis of a built-in network, traced once."""
    return analyze(build(name), (3, 32, 32), name=name)


def number(text: str) -> int:
    return int(text.replace(",", ""))


def printed_total(text: str, label: str) -> str:
    """Return what stands behind a label at the start of a line."""
    found = re.search(rf"^{re.escape(label)}: (.*)$", text, re.MULTILINE)
    assert found, f"no line starts with {label}"
    return found[1]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_torchsummary_style_prints_every_row(name: str) -> None:
    text = torchsummary_table(analysis(name))
    rows = [
        {"label": label, "output_shape": json.loads(shape), "params": number(params)}
        for label, shape, params in re.findall(r"^ *(\w+-\d+) +(\[.*\]) +([\d,]+)$", text, re.MULTILINE)
    ]
    assert rows == table(name)["rows"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_torchsummary_style_prints_every_parameter_total(name: str) -> None:
    text = torchsummary_table(analysis(name))
    labels = {
        "total": "Total params",
        "trainable": "Trainable params",
        "non_trainable": "Non-trainable params",
    }
    printed = table(name)["params"]
    assert {key: number(printed_total(text, labels[key])) for key in printed} == printed


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if "megabytes" in table(name)])
def test_torchsummary_style_prints_every_size(name: str) -> None:
    text = torchsummary_table(analysis(name))
    labels = {
        "input": "Input size (MB)",
        "forward_backward": "Forward/backward pass size (MB)",
        "params": "Params size (MB)",
        "total": "Estimated Total Size (MB)",
    }
    assert {key: printed_total(text, label) for key, label in labels.items()} == table(name)["megabytes"]


def test_torchscan_style_prints_document_003s_blocks() -> None:
    rows = re.findall(
        r"^(?:├─)?(\w+) +(\w+) +\((-1[\d, ]*)\) +([\d,]+) +(\d+)$",
        torchscan_table(analysis("document_003")),
        re.MULTILINE,
    )
    assert [
        {
            "name": name,
            "type": kind,
            "output_shape": [int(size) for size in shape.split(",")],
            "params_and_buffers": number(held),
            "receptive_field": int(field),
        }
        for name, kind, shape, held, field in rows
    ] == table("document_003")["blocks"]


def test_torchscan_style_prints_document_003s_totals_and_no_negative_memory() -> None:
    text = torchscan_table(analysis("document_003"))
    printed = table("document_003")
    assert number(printed_total(text, "Total params")) == printed["params"]["total"]
    assert number(printed_total(text, "Trainable params")) == printed["params"]["trainable"]
    assert number(printed_total(text, "Non-trainable params")) == printed["params"]["non_trainable"]
    model = printed_total(text, "Model size (params + buffers)")
    assert model == f"{printed['model_megabytes']} Mb"
    memory = printed_total(text, "Total RAM usage (model + peak)")
    assert float(memory.removesuffix(" Mb")) > float(model.removesuffix(" Mb"))


def test_document_003_costs_are_those_of_its_thirteen_convolutions() -> None:
    # weights x output positions, from the printed rows; a bias is no multiplication
    weights = {"Conv2d-18": 4096, "Conv2d-24": 8192}
    macs = sum(
        weights.get(row["label"], row["params"]) * row["output_shape"][2] * row["output_shape"][3]
        for row in table("document_003")["rows"]
        if row["label"].startswith("Conv2d")
    )
    totals = analysis("document_003").totals
    assert (totals.macs, totals.flops) == (macs, 2 * macs)


def test_document_003_sees_55_pixels_before_the_pooling_and_67_after() -> None:
    fields = analysis("document_003").totals.receptive_field
    assert (fields.before_gap.size, fields.output.size) == ((55, 55), (67, 67))


def test_document_003_dilated_sees_more_and_prints_the_same_rows() -> None:
    plain, dilated = analysis("document_003"), analyze(Net003(dilation=2), (3, 32, 32), name="document_003")
    assert torchsummary_table(dilated) == torchsummary_table(plain)
    # rows 33 and 34 add 2 steps each on a grid of 4 px
    assert dilated.totals.receptive_field.output.size == (67 + 2 * 2 * 4, 67 + 2 * 2 * 4)


def test_document_001s_non_square_kernels_keep_their_axes_apart() -> None:
    layers = {layer.name: layer.receptive_field for layer in analysis("document_001").layers}
    # conv 3, conv 3, pool 2 make 6 px on a grid of 2; 3x1 adds two steps of height, 1x3 two of width
    assert layers["pool1"].size == (6, 6)
    assert layers["conv4"].size == (6 + 2 * 2, 6)
    assert layers["conv5"].size == (6 + 2 * 2, 6 + 2 * 2)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_nothing_about_the_built_in_networks_is_unknown(name: str) -> None:
    assert analysis(name).totals.unknown_ops == ()
    assert "unknown" not in tree_table(analysis(name))
