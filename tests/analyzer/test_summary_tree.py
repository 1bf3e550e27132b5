"""The tree of layers, of analyses made by hand."""

from __future__ import annotations

import re

import pytest

from cifar_report.analyzer.summary import torchscan_table, tree_table
from tests.analyzer.hand_made import ANALYSIS, KNOWN


def tree_rows(text: str) -> dict[str, list[str]]:
    """Return the cells of a tree table by their label without the art."""
    rows = {}
    for line in text.splitlines():
        label, *cells = re.split(r"  +", line.lstrip("│├└─ ").rstrip())
        rows[label] = cells
    return rows


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
