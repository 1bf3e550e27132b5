"""The styles, on analyses made by hand so that every awkward figure occurs."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import replace
from typing import Any

import pytest
from markdown_it import MarkdownIt

from cifar_report.analyzer.analysis import Analysis, FieldTotals, Layer, ReceptiveField, Totals
from cifar_report.analyzer.summary import (
    csv_table,
    html_table,
    markdown_table,
    torchscan_table,
    torchsummary_table,
    tree_table,
)

UNKNOWN = ReceptiveField(kind="unknown", cause="aten.mystery")
GLOBAL = ReceptiveField(kind="global", cause="attend")


def local(*size: int, stride: tuple[float, ...] = (1, 1), uniform: bool = True) -> ReceptiveField:
    return ReceptiveField(
        kind="local", size=size, stride=stride, start=(0.5, 0.5), uniform=uniform, visible=(3, 3)
    )


def layer(index: int, name: str, type_: str, depth: int, **changes: Any) -> Layer:
    values: dict[str, Any] = {
        "index": index,
        "name": name,
        "type": type_,
        "kind": "module",
        "leaf": True,
        "container": False,
        "depth": depth,
        "input_shape": (1, 3, 8, 8),
        "output_shape": (1, 4, 8, 8),
        "params": 0,
        "trainable_params": 0,
        "buffers": 0,
        "reused": False,
        "macs": 0,
        "flops": 0,
        "elementwise": 0,
        "dmas": 0,
        "activation_bytes": 0,
        "receptive_field": local(3, 3),
        "backward_field": local(5, 3),
        "first_operator": 0,
        "last_operator": 0,
    }
    return Layer(**(values | changes))


LAYERS = (
    layer(0, "stem.conv", "Conv2d", 2, params=112, trainable_params=112, macs=6912, flops=13824),
    layer(1, "stem.norm", "BatchNorm2d", 2, params=8, buffers=9),
    layer(2, "stem", "Sequential", 1, leaf=False, container=True),
    layer(3, "act", "ReLU", 1, receptive_field=local(5, 3, stride=(2, 1))),
    layer(4, "", "mystery", 1, kind="function", macs=None, receptive_field=UNKNOWN),
    layer(5, "act", "ReLU", 1, reused=True, receptive_field=local(27, 27, stride=(0.5, 0.5), uniform=False)),
    layer(6, "attend", "Attention|x", 1, params=1_234_567, macs=9_876_543_210, receptive_field=GLOBAL),
    layer(7, "", "Net<b>", 0, leaf=False, container=True, output_shape=(1, 10), params=20, macs=0),
)

TOTALS = Totals(
    params=1_234_707,
    trainable_params=1_234_607,
    frozen_params=100,
    buffers=9,
    macs=None,
    flops=None,
    elementwise=2048,
    dmas=4096,
    param_bytes=4 * 1_234_707,
    buffer_bytes=40,
    activation_bytes=3 << 20,
    peak_activation_bytes=1 << 20,
    receptive_field=FieldTotals(before_gap=local(5, 3, stride=(2, 1)), output=GLOBAL),
    unknown_ops=("aten.mystery",),
)

ANALYSIS = Analysis(
    model="made_by_hand",
    input_shape=(3, 8, 8),
    rung="meta",
    totals=TOTALS,
    layers=LAYERS,
    operators=(),
    findings=(),
    uncalled=("spare",),
)

KNOWN = replace(
    ANALYSIS,
    totals=replace(TOTALS, macs=9_876_550_122, flops=19_753_100_244, unknown_ops=()),
    layers=tuple(replace(each, macs=each.macs or 0) for each in LAYERS),
    uncalled=(),
)
"""The same without anything unknown, and with every module called."""

STYLES = (csv_table, html_table, markdown_table, torchscan_table, torchsummary_table, tree_table)


def tree_rows(text: str) -> dict[str, list[str]]:
    """Return the cells of a tree table by their label without the art."""
    rows = {}
    for line in text.splitlines():
        label, *cells = re.split(r"  +", line.lstrip("│├└─ ").rstrip())
        rows[label] = cells
    return rows


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


class TestTree:
    def test_the_tree_is_parents_first_with_functions_and_reused_modules(self) -> None:
        labels = [re.split(r"  +", line)[0] for line in tree_table(ANALYSIS).splitlines()[2:10]]
        assert labels == [
            "made_by_hand",
            "├─ stem",
            "│",  # two spaces inside the art
            "│",
            "├─ act",
            "├─ mystery",
            "├─ act (reused)",
            "└─ attend",
        ]

    def test_figures_of_every_kind(self) -> None:
        rows = tree_rows(tree_table(ANALYSIS))
        assert rows["conv"] == ["Conv2d", "1x4x8x8", "112", "6,912", "3", "1"]
        assert rows["stem"] == ["Sequential", "1x4x8x8", "-", "-", "3", "1"]
        assert rows["act"] == ["ReLU", "1x4x8x8", "0", "0", "5x3", "2x1"]
        assert rows["mystery"] == ["function", "1x4x8x8", "0", "unknown", "unknown", "unknown"]
        assert rows["act (reused)"] == ["ReLU", "1x4x8x8", "0", "0", "≤27", "0.5"]
        assert rows["attend"] == ["Attention|x", "1x4x8x8", "1,234,567", "9,876,543,210", "global", "-"]
        assert rows["made_by_hand"] == ["Net<b>", "1x10", "20", "-", "3", "1"]

    @pytest.mark.parametrize("depth", [0, 1, 2, None])
    def test_columns_add_up_to_the_totals_at_any_depth(self, depth: int | None) -> None:
        lines = tree_table(KNOWN, depth).splitlines()
        body = lines[2 : lines.index(lines[1], 2)]
        columns = [re.split(r"  +", line.lstrip("│├└─ "))[3:5] for line in body]
        params, macs = zip(*columns, strict=True)
        for texts, total in ((params, KNOWN.totals.params), (macs, KNOWN.totals.macs)):
            assert sum(int(text.replace(",", "")) for text in texts if text != "-") == total

    def test_closing_a_block_with_an_unknown_part_makes_its_sum_unknown(self) -> None:
        rows = tree_rows(tree_table(ANALYSIS, depth=0))
        assert rows["made_by_hand"][2:4] == ["1,234,707", "unknown"]

    def test_rows_are_aligned_with_figures_of_ten_digits(self) -> None:
        lines = tree_table(ANALYSIS).splitlines()
        assert len({len(line) for line in lines[:10]}) == 1

    def test_totals_say_what_is_unknown_and_why(self) -> None:
        text = tree_table(ANALYSIS)
        assert re.search(r"^MACs +unknown \(convolution", text, re.MULTILINE)
        assert re.search(
            r"^WARNING +no rule for aten\.mystery: the figures they touch are", text, re.MULTILINE
        )
        assert re.search(r"^Never called +spare$", text, re.MULTILINE)
        assert "5x3 px (3 of it on the image) before global pooling" in text
        assert "global (because of attend) at the output" in text
        assert "on meta tensors" in text

    def test_nothing_unknown_gives_no_warning(self) -> None:
        assert "WARNING" not in tree_table(KNOWN)
        assert "unknown" not in torchscan_table(KNOWN)


class TestFlat:
    def test_markdown_rows_add_up_to_the_last_one(self) -> None:
        rows = [line.split(" | ") for line in markdown_table(KNOWN).splitlines() if line.startswith("| ")]
        figures = [[int(cell.replace(",", "").strip("*")) for cell in row[3:5]] for row in rows[2:]]
        params, macs = zip(*figures, strict=True)
        assert (sum(params[:-1]), sum(macs[:-1])) == (params[-1], macs[-1])

    def test_markdown_renders_to_a_table_of_seven_columns_without_markup_from_names(self) -> None:
        nasty = replace(LAYERS[3], name="a|b*c*_d_`e`", type="<script>")
        analysis = replace(ANALYSIS, layers=(nasty, *LAYERS), uncalled=("_x_", "*y*"))
        html = MarkdownIt("gfm-like").render(markdown_table(analysis))
        assert [row.count("<td") for row in html.split("<tr>")[2:]] == [7] * 9
        assert "a|b*c*_d_'e'" in html
        assert "Attention|x" in html
        assert "&lt;script&gt;" in html
        assert "_x_, *y*" in html

    def test_containers_have_a_row_only_for_what_they_do_themselves(self) -> None:
        text = markdown_table(ANALYSIS)
        assert "`stem`" not in text
        assert "| `(network)` | `Net<b>` | 1x10 | 20 | 0 |" in text

    def test_html_is_escaped_and_its_header_cells_have_a_scope(self) -> None:
        text = html_table(ANALYSIS)
        assert "Net&lt;b&gt;" in text
        assert "<b>" not in text
        assert text.count("<th ") == text.count('<th scope="col">') + text.count('<th scope="row">')
        assert text.count('scope="row"') == 8  # seven that do something, total
        assert "no rule for aten.mystery" in text

    def test_csv_has_every_layer_with_plain_figures(self) -> None:
        rows = list(csv.DictReader(io.StringIO(csv_table(ANALYSIS))))
        assert [row["name"] for row in rows] == [each.name for each in LAYERS]
        assert rows[6]["params"] == "1234567"
        assert rows[6]["receptive_field"] == "global"
        assert rows[4]["macs"] == "unknown"
        assert rows[4]["receptive_field"] == rows[4]["start"] == "unknown"
        assert rows[3]["receptive_field"] == "5x3"
        assert rows[3]["stride"] == "2x1"
        assert rows[5]["reused"] == "true"
        assert (rows[5]["receptive_field"], rows[5]["uniform"]) == ("27", "false")
        assert rows[0]["backward_field"] == "5x3"
        assert sum(int(row["params"]) for row in rows) == ANALYSIS.totals.params
