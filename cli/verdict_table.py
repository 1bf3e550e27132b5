"""Verdicts as a table, as Markdown, as JSON, and in one line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cifar_report.cli.console import rendered, result_console

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Analysis
    from cifar_report.analyzer.constraints import Verdict

MARKS = {"met": "✓ met", "not met": "✗ not met", "unknown": "? unknown", "not measured": "- not measured"}
"""How each state is shown, with a sign for whoever doesn't see colours."""

_HEADER = ("Constraint", "Verdict", "Required", "Measured", "Margin", "Evidence")
_COLOURS = {"met": "green", "not met": "red", "unknown": "yellow", "not measured": "yellow"}


def as_table(verdicts: Sequence[Verdict], *, plain: bool) -> str:
    """Return the verdicts as a table: coloured on a terminal, plain elsewhere or where that is asked for."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in _HEADER:
        right = title in ("Required", "Measured", "Margin")
        table.add_column(
            Text(title), justify="right" if right else "left", no_wrap=title in ("Verdict", "Margin")
        )
    console = result_console()
    for verdict in verdicts:
        cells = [Text(cell) for cell in _cells(verdict)]
        cells[1].stylize(_COLOURS[verdict.state])
        table.add_row(*cells)
    if console.is_terminal and not plain:
        with console.capture() as capture:
            console.print(table)
        return capture.get()
    return rendered(table, width=console.width)


def as_markdown(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts as a Markdown table."""
    rows = [_HEADER, ("---", "---", "---:", "---:", "---:", "---"), *map(_cells, verdicts)]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)


def as_json(analysis: Analysis, verdicts: Sequence[Verdict], code: int) -> str:
    """Return the verdicts with the exit code, for programs."""
    data = {
        "model": analysis.model,
        "input_shape": analysis.input_shape,
        "exit_code": code,
        "unknown_ops": analysis.totals.unknown_ops,
        "verdicts": [verdict.to_dict() for verdict in verdicts],
    }
    return json.dumps(data, indent=1)


def in_a_line(analysis: Analysis, verdicts: Sequence[Verdict]) -> str:
    """Return how many verdicts there are of each kind; a second line names operators without a rule."""
    counts = {state: sum(verdict.state == state for verdict in verdicts) for state in MARKS}
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    lines = [f"{analysis.model}: {', '.join(parts)}"]
    if analysis.totals.unknown_ops:
        lines.append(f"operators without a rule: {', '.join(analysis.totals.unknown_ops)}")
    return "\n".join(lines)


def _cells(verdict: Verdict) -> tuple[str, ...]:
    return (
        verdict.constraint,
        MARKS[verdict.state],
        verdict.required,
        verdict.measured or verdict.state,
        verdict.margin or "-",
        verdict.evidence,
    )


def _cell(text: str) -> str:
    """Return a text that stays in its cell."""
    return text.replace("|", "\\|").replace("\r", " ").replace("\n", " ")
