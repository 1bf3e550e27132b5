"""A second opinion as text: a table of layers, the reasons under it, and the totals."""

from __future__ import annotations

from collections.abc import Sequence

from cifar_report.analyzer.second_opinion import Row, SecondOpinion
from cifar_report.analyzer.summary_figures import NOTHING, count, extent

_HEADER = ("Layer", "Type", "MACs", "fvcore", "torchscan", "Field", "torchscan's", "Why")
_WORDS = (0, 1, 7)
"""Columns of words; the others are figures and stand right."""
_FIELDS = (
    "Field: ours is with respect to the network's input, torchscan's with respect to the layer's own, on its "
    "first axis [px]."
)
_SHOWN_NOTES = 5


def text_table(opinion: SecondOpinion) -> str:
    """Return the opinions in columns for a screen."""
    reasons = _reasons(opinion.rows)
    lines = _columns([_HEADER, *[_cells(row, reasons) for row in opinion.rows]])
    lines += ["", *_columns(_totals(opinion)), "", *_remarks(opinion, reasons)]
    return "\n".join(lines)


def markdown_table(opinion: SecondOpinion) -> str:
    """Return the opinions as GitHub-flavoured tables."""
    reasons = _reasons(opinion.rows)
    rule = tuple("---" if column in _WORDS else "---:" for column in range(len(_HEADER)))
    lines = [_markdown(_HEADER), _markdown(rule)]
    lines += [_markdown(_cells(row, reasons)) for row in opinion.rows]
    head, *totals = _totals(opinion)
    lines += ["", _markdown(head), _markdown(("---", "---:", "---:", "---")), *map(_markdown, totals), ""]
    lines += [f"- {remark}" for remark in _remarks(opinion, reasons)]
    return "\n".join(lines)


def _reasons(rows: Sequence[Row]) -> dict[str, int]:
    """Number the reasons in the order of their first appearance."""
    distinct = dict.fromkeys(reason for row in rows for reason in row.reasons)
    return {reason: number for number, reason in enumerate(distinct, 1)}


def _cells(row: Row, reasons: dict[str, int]) -> tuple[str, ...]:
    return (
        row.layer or "(network)",
        row.type,
        count(row.macs),
        _theirs(row.fvcore),
        _theirs(row.torchscan),
        extent(row.receptive_field),
        _theirs(row.torchscan_field),
        " ".join(f"({reasons[reason]})" for reason in row.reasons),
    )


def _theirs(figure: float | None) -> str:
    return NOTHING if figure is None else f"{figure:,.0f}"


def _totals(opinion: SecondOpinion) -> list[tuple[str, ...]]:
    ours = ("ours", count(opinion.params), count(opinion.macs), "multiply-accumulates, nothing else")
    rows: list[tuple[str, ...]] = [("Total", "Params", "MACs", "What it counts"), ours]
    for tool in opinion.tools:
        name = f"{tool.tool} {tool.version}"
        rows.append((name, _theirs(tool.params), _theirs(tool.macs), tool.failure or tool.convention))
    return rows


def _remarks(opinion: SecondOpinion, reasons: dict[str, int]) -> list[str]:
    lines = [f"({number}) {reason}" for reason, number in reasons.items()]
    agreeing = sum(not row.reasons for row in opinion.rows)
    failed = [tool for tool in opinion.tools if tool.failure]
    if len(failed) < len(opinion.tools):
        lines.append(f"{agreeing} of {len(opinion.rows)} layers: all agree.")
    if not any(tool.tool == "torchscan" for tool in failed):
        lines.append(_FIELDS)
    lines += [f"{tool.tool} failed: {tool.failure}" for tool in failed]
    for tool in opinion.tools:
        lines += [f"{tool.tool} says: {note}" for note in tool.notes[:_SHOWN_NOTES]]
        if len(tool.notes) > _SHOWN_NOTES:
            lines.append(f"{tool.tool} says {len(tool.notes) - _SHOWN_NOTES} things more.")
    return lines


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align cells; the first two columns and the last one left, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    words = (0, last) if last < len(_HEADER) - 1 else _WORDS
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column in words else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]]


def _markdown(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
