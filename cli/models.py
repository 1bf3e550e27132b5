"""`cifar-report models`: the built-in networks with what they cost and see."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cifar_report.cli.console import rendered, result_console, write_result
from cifar_report.cli.options import format_option, output_option

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Analysis

_HEADER = ("Model", "Params", "MACs", "Before GAP [px]", "At output [px]", "What it is")
_FIGURES = slice(1, 5)
"""Columns of numbers, which stand right."""


@click.command(short_help="List the built-in networks.")
@format_option("table", "json", "markdown", help="How to print the list.")
@output_option
def models(style: str, output: Path | None) -> None:
    """List the built-in networks with parameters, MACs and receptive field.

    All figures are computed while you wait, for images of 3x32x32, or of 1x28x28 where a network is for
    MNIST. The receptive field stands before global average pooling (GAP) and at the output, because
    assignments differ in which one they mean.
    """
    from cifar_report.analyzer.assemble import analyze
    from cifar_report.models.registry import build, describe, input_shape

    lines = describe()
    analyses = {name: analyze(build(name), input_shape(name), name=name) for name in lines}
    if style == "json":
        write_result(_json(analyses, lines), output)
    elif style == "markdown":
        write_result(_markdown(_rows(analyses, lines)), output)
    else:
        write_result(_table(_rows(analyses, lines)), output)


def _rows(analyses: dict[str, Analysis], lines: dict[str, str]) -> list[tuple[str, ...]]:
    from cifar_report.analyzer.summary_figures import count, extent

    rows: list[tuple[str, ...]] = []
    for name, analysis in analyses.items():
        totals = analysis.totals
        fields = totals.receptive_field
        figures = (count(totals.params), count(totals.macs), extent(fields.before_gap), extent(fields.output))
        rows.append((name, *figures, lines[name]))
    return rows


def _json(analyses: dict[str, Analysis], lines: dict[str, str]) -> str:
    models = [
        {
            "name": name,
            "description": lines[name],
            "input_shape": analysis.input_shape,
            "params": analysis.totals.params,
            "macs": analysis.totals.macs,
            "receptive_field": asdict(analysis.totals.receptive_field),
        }
        for name, analysis in analyses.items()
    ]
    return json.dumps({"models": models}, indent=1)


def _markdown(rows: list[tuple[str, ...]]) -> str:
    rule = ["---"] * len(_HEADER)
    rule[_FIGURES] = ["---:"] * len(_HEADER[_FIGURES])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (_HEADER, rule, *rows))


def _table(rows: list[tuple[str, ...]]) -> str:
    """Return the list as wide as the screen, or 120 characters where there is none."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column, title in enumerate(_HEADER):
        figures = column in range(len(_HEADER))[_FIGURES]
        table.add_column(Text(title), justify="right" if figures else "left", no_wrap=column == 0)
    for row in rows:
        table.add_row(*map(Text, row))
    return rendered(table, width=result_console().width)
