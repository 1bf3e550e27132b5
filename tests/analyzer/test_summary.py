"""All styles, and those that other tools print, of analyses made by hand."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.summary import (
    csv_table,
    html_table,
    markdown_table,
    torchscan_table,
    torchsummary_table,
    tree_table,
)
from tests.analyzer.hand_made import ANALYSIS, GLOBAL, KNOWN, LAYERS, UNKNOWN

STYLES = (csv_table, html_table, markdown_table, torchscan_table, torchsummary_table, tree_table)


@pytest.mark.parametrize("style", STYLES)
def test_no_style_ends_in_a_newline_or_holds_a_colour(style: Any) -> None:
    text = style(ANALYSIS)
    assert text == text.strip("\n")
    assert "\x1b" not in text
    assert "None" not in text


@pytest.mark.parametrize("style", STYLES)
def test_an_analysis_read_back_from_json_prints_the_same(style: Any) -> None:
    assert style(Analysis.from_json(ANALYSIS.to_json())) == style(ANALYSIS)


class TestTorchsummary:
    def test_rows_are_the_modules_that_are_no_containers_numbered_in_order(self) -> None:
        rows = re.findall(r"^ *(\S+-\d+) +(\[.*\]) +([\d,]+)$", torchsummary_table(ANALYSIS), re.MULTILINE)
        assert rows == [
            ("Conv2d-1", "[-1, 4, 8, 8]", "112"),
            ("BatchNorm2d-2", "[-1, 4, 8, 8]", "8"),
            ("ReLU-3", "[-1, 4, 8, 8]", "0"),
            ("ReLU-4", "[-1, 4, 8, 8]", "0"),
            ("Attention|x-5", "[-1, 4, 8, 8]", "1,234,567"),
        ]

    def test_columns_end_where_torchsummary_ends_them(self) -> None:
        lines = torchsummary_table(ANALYSIS).splitlines()
        assert lines[0] == "-" * 64
        assert lines[1] == "        Layer (type)               Output Shape         Param #"
        assert lines[2] == "=" * 64
        assert lines[3] == "            Conv2d-1              [-1, 4, 8, 8]             112"

    def test_sizes_follow_the_formulas(self) -> None:
        big = tuple(replace(each, output_shape=(1, 64, 128, 128)) for each in LAYERS)
        text = torchsummary_table(replace(ANALYSIS, input_shape=(3, 256, 256), layers=big))
        # 3 * 256 * 256 * 4 B; five rows, forward and backward; all parameters
        assert "Input size (MB): 0.75" in text
        assert f"Forward/backward pass size (MB): {5 * 2 * 64 * 128 * 128 * 4 / 2**20:.2f}" in text
        assert f"Params size (MB): {1_234_707 * 4 / 2**20:.2f}" in text
        assert f"Estimated Total Size (MB): {0.75 + 40 + 1_234_707 * 4 / 2**20:.2f}" in text

    def test_totals_split_frozen_from_trainable(self) -> None:
        lines = torchsummary_table(ANALYSIS).splitlines()
        assert "Total params: 1,234,707" in lines
        assert "Trainable params: 1,234,607" in lines
        assert "Non-trainable params: 100" in lines

    def test_parameters_without_a_row_are_named(self) -> None:
        last = torchsummary_table(ANALYSIS).splitlines()[-1]
        assert last.endswith(": 20 params")

    def test_a_table_that_adds_up_ends_in_its_rule(self) -> None:
        whole = replace(KNOWN, totals=replace(KNOWN.totals, params=1_234_687))
        assert torchsummary_table(whole).splitlines()[-1] == "-" * 64

    def test_a_row_without_a_tensor_makes_the_sizes_unknown(self) -> None:
        layers = (replace(LAYERS[0], output_shape=None), *LAYERS[1:])
        text = torchsummary_table(replace(ANALYSIS, layers=layers))
        assert re.search(r"Conv2d-1 +unknown +112", text)
        assert "Forward/backward pass size (MB): unknown" in text
        assert "Estimated Total Size (MB): unknown" in text

    def test_a_label_wider_than_its_column_keeps_two_spaces(self) -> None:
        layers = tuple(replace(each, type="DepthwiseSeparable") for each in LAYERS[:1] * 104)
        lines = torchsummary_table(replace(KNOWN, layers=layers)).splitlines()
        assert lines[106] == "DepthwiseSeparable-104              [-1, 4, 8, 8]             112"


class TestTorchscan:
    def test_depth_one_sums_what_lies_below(self) -> None:
        rows = [re.split(r"  +", line.strip()) for line in torchscan_table(ANALYSIS).splitlines()[3:7]]
        assert rows == [
            ["net<b>", "Net<b>", "(-1, 10)", "20", "5x3"],
            ["├─stem", "Sequential", "(-1, 4, 8, 8)", "129", "5x3"],
            ["├─act", "ReLU", "(-1, 4, 8, 8)", "0", "5x3"],
            ["├─act", "ReLU", "(-1, 4, 8, 8)", "0", "5x3"],
        ]

    def test_depth_two_opens_the_blocks_and_the_column_still_adds_up(self) -> None:
        lines = torchscan_table(ANALYSIS, depth=2).splitlines()
        assert [re.split(r"   +", line.replace("|    ", "|"))[0] for line in lines[3:7]] == [
            "net<b>",
            "├─stem",
            "|└─conv",
            "|└─norm",
        ]
        params = [int(re.split(r"  +", line.strip())[-2].replace(",", "")) for line in lines[3:10]]
        assert sum(params) == 1_234_707 + 9

    def test_depth_zero_is_one_row(self) -> None:
        lines = torchscan_table(ANALYSIS, depth=0).splitlines()
        assert re.split(r"  +", lines[3].strip())[3] == "1,234,716"
        assert set(lines[4]) == {"="}

    def test_totals_are_ours_with_their_conventions(self) -> None:
        text = torchscan_table(KNOWN)
        assert "Multiply-Accumulations on forward: 9.88 GMACs" in text
        assert "Floating Point Operations on forward: 19.75 GFLOPs" in text
        assert "Direct memory accesses on forward: 4.10 kDMAs" in text
        assert "FLOPs: 2 x MACs" in text
        assert "Model size (params + buffers): 4.71 Mb" in text
        assert "Total RAM usage (model + peak): 5.71 Mb" in text

    def test_unknown_costs_say_so_and_name_the_operator(self) -> None:
        text = torchscan_table(ANALYSIS)
        assert "Multiply-Accumulations on forward: unknown" in text
        assert "WARNING: no rule for aten.mystery" in text
        assert "Never called: spare" in text

    def test_global_and_unknown_fields_are_words(self) -> None:
        layers = (
            replace(LAYERS[3], backward_field=GLOBAL),
            replace(LAYERS[6], backward_field=UNKNOWN),
            LAYERS[7],
        )
        lines = torchscan_table(replace(ANALYSIS, layers=layers)).splitlines()
        assert lines[4].rstrip().endswith("global")
        assert lines[5].rstrip().endswith("unknown")

    def test_long_names_widen_the_column(self) -> None:
        name = "a_rather_long_name_for_a_single_layer"
        layers = (replace(LAYERS[3], name=name), LAYERS[7])
        lines = torchscan_table(replace(ANALYSIS, layers=layers)).splitlines()
        types = len(f"├─{name}") + 4
        assert [line.index(word) for line, word in ((lines[1], "Type"), (lines[3], "Net<b>"))] == [types] * 2
        assert lines[4].index("ReLU") == types
        assert len(lines[0]) == len(lines[1]) == len(lines[2])
