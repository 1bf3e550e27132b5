"""The tables that have a row for each layer, of analyses made by hand."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

from markdown_it import MarkdownIt

from cifar_report.analyzer.summary import csv_table, html_table, markdown_table
from tests.analyzer.hand_made import ANALYSIS, KNOWN, LAYERS


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
