"""`cifar-report compare`: what several networks cost and see, side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import rendered, result_console, talk, write_result
from cifar_report.cli.options import analyze_model, format_option, input_option, output_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cifar_report.analyzer.analysis import Analysis
    from cifar_report.analyzer.comparison import Row

_EPILOG = """
\b
Examples:
  cifar-report compare document_000 document_001 document_003
  cifar-report compare old.py new.py:Net --input 3,224,224 --format markdown -o comparison.md

\b
Percentages are differences from the first network. `best` marks the fewest operations and bytes and the
largest receptive field; of a structure neither many nor few are better. Costs are for one image.
"""


@click.command(short_help="Show costs, fields and structure of networks side by side.", epilog=_EPILOG)
@click.argument("models", nargs=-1, required=True, metavar="MODEL MODEL...")
@input_option
@format_option("table", "json", "markdown", help="How to print the comparison.")
@output_option
def compare(models: tuple[str, ...], inputs: tuple[str, ...], style: str, output: Path | None) -> None:
    """Analyse several networks for one input and print their figures in columns.

    MODEL is model.py, model.py:Net, model.py:build(), package.module:Net(num_classes=10) or a built-in
    name.
    """
    from cifar_report.analyzer.comparison import compare as lay_side_by_side

    if len(models) < 2:
        raise UsageError(
            "there is nothing to compare with",
            expected="at least two networks",
            found=models[0],
            hint=f"to look at one: cifar-report analyze {models[0]}",
        )
    analyses = [analyze_model(model, inputs) for model in models]
    rows = lay_side_by_side(analyses)
    if style == "json":
        text = _json(analyses, rows)
    elif style == "markdown":
        text = _markdown(_cells(analyses, rows))
    else:
        text = _table(_cells(analyses, rows))
    write_result(text, output)
    for analysis in analyses:
        if analysis.totals.unknown_ops:
            talk(f"{analysis.model}: operators without a rule: {', '.join(analysis.totals.unknown_ops)}")


def _cells(analyses: Sequence[Analysis], rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """Return the comparison as text, a header first."""
    return [("", *[analysis.model for analysis in analyses]), *[(row.label, *_texts(row)) for row in rows]]


def _texts(row: Row) -> list[str]:
    """Return a row's figures with their differences and the mark of the best."""
    texts = []
    for figure, difference, best in zip(row.figures, row.differences, row.best, strict=True):
        parts = [figure.text]
        if difference and row.better != "neither":
            parts.append(f"{difference:+,.1f} %")
        texts.append(", ".join([*parts, "best"] if best else parts))
    return texts


def _json(analyses: Sequence[Analysis], rows: Sequence[Row]) -> str:
    data = {
        "models": [analysis.model for analysis in analyses],
        "input_shape": analyses[0].input_shape,
        "rows": [
            {
                "label": row.label,
                "better": row.better,
                "values": [figure.value for figure in row.figures],
                "texts": [figure.text for figure in row.figures],
                "differences_percent": row.differences,
                "best": row.best,
            }
            for row in rows
        ],
    }
    return json.dumps(data, indent=1)


def _markdown(cells: Sequence[tuple[str, ...]]) -> str:
    rule = ("---", *["---:"] * (len(cells[0]) - 1))
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in (cells[0], rule, *cells[1:])]
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)


def _table(cells: Sequence[tuple[str, ...]]) -> str:
    """Return the comparison as wide as the screen, or 120 characters where there is none."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column, title in enumerate(cells[0]):
        table.add_column(Text(title), justify="right" if column else "left", overflow="fold")
    for row in cells[1:]:
        table.add_row(*map(Text, row))
    return rendered(table, width=result_console().width)
