"""`check --advise`: proposals behind the verdicts, in the format that these have."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import result_console

if TYPE_CHECKING:
    from cifar_report.analyzer.advice import Advice, Proposal
    from cifar_report.analyzer.analysis import Analysis
    from cifar_report.analyzer.constraints import Constraint, Verdict
    from cifar_report.analyzer.load import LoadedModel

_SIGNS = {"met": "✓", "not met": "✗", "unknown": "?", "not measured": "-"}
_LAYERS = 12
_COLOURS = {"met": "green", "not met": "red"}


def with_advice(
    text: str,
    style: str,
    plain: bool,
    loaded: LoadedModel,
    analysis: Analysis,
    constraints: Sequence[Constraint],
) -> str:
    """Return the words of a check with its advice.

    Args:
        text: the verdicts in the style.
        style: `table`, `markdown` or `json`.
        plain: not for a terminal.
        loaded: the network.
        analysis: of it.
        constraints: all of them.

    Raises:
        UsageError: a style that has no place for advice.
    """
    from cifar_report.analyzer.advice import advise
    from cifar_report.analyzer.constraints import judge

    if style not in ("table", "markdown", "json"):
        raise UsageError(
            f"--advise has no place in --format {style}", expected="--format table, markdown or json"
        )
    missed = any(verdict.state == "not met" for verdict in judge(constraints, analysis))
    advice = advise(loaded, analysis, constraints) if missed else None
    if style == "json":
        return json.dumps({**json.loads(text), "advice": advice and advice.to_dict()}, indent=1)
    if advice is None:
        return f"{text.rstrip()}\n\nNothing to advise: no constraint is missed.\n"
    if style == "markdown":
        return f"{text.rstrip()}\n\n{as_markdown(advice, analysis)}"
    colour = not plain and result_console().is_terminal
    shown = as_text(advice, analysis)
    return f"{text.rstrip()}\n\n{shown if colour else click.unstyle(shown)}"


def as_text(advice: Advice, analysis: Analysis) -> str:
    """Return advice for a terminal, in colour."""
    lines = [_heading(advice)]
    for number, proposal in enumerate(_shown(advice), start=1):
        lines += [
            "",
            click.style(f"{number}. {_title(proposal)}", bold=True),
            f"   {_size(proposal, analysis)}",
        ]
        lines += [f"   {layer}" for layer in _some(proposal.layers)]
        lines += ["", *(f"   {line}" for line in _columns(_rows(advice.before, proposal.verdicts)))]
        lines += ["", *map(_coloured, proposal.diff.splitlines())] if proposal.diff else [_no_diff(proposal)]
    return "\n".join(lines) + "\n"


def as_markdown(advice: Advice, analysis: Analysis) -> str:
    """Return advice as Markdown, diffs in fences."""
    lines = ["### Advice", "", _heading(advice)]
    for number, proposal in enumerate(_shown(advice), start=1):
        lines += ["", f"#### {number}. {_title(proposal)}", "", _size(proposal, analysis), ""]
        lines += [f"- `{layer}`" for layer in _some(proposal.layers)]
        header, *rows = _rows(advice.before, proposal.verdicts)
        table = [header, ("---",) * len(header), *rows]
        lines += [
            "",
            *(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in table),
        ]
        lines += ["", "```diff", proposal.diff.rstrip("\n"), "```"] if proposal.diff else [_no_diff(proposal)]
    return "\n".join(lines) + "\n"


def _shown(advice: Advice) -> Iterable[Proposal]:
    nearest = [advice.nearest] if advice.nearest else []
    return advice.proposals or nearest


def _heading(advice: Advice) -> str:
    if advice.note:
        return f"Advice: none, because {advice.note}"
    tried = f"{advice.tried} changed networks were traced"
    if advice.proposals:
        count = len(advice.proposals)
        return (
            f"Advice: {count} proposal{'s' if count > 1 else ''}, cheapest first; {tried}. "
            "What training would make of them is not measured."
        )
    limit = ", within the time that a search has" if advice.exhausted else ""
    ending = " This one misses least:" if advice.nearest else ""
    return f"Advice: no change was found that meets everything{limit}; {tried}.{ending}"


def _some(layers: Sequence[str]) -> list[str]:
    """Return the first lines, and how many there are more; JSON has them all."""
    more = len(layers) - _LAYERS
    return [*layers[:_LAYERS], f"... {more} more"] if more > 1 else list(layers)


def _title(proposal: Proposal) -> str:
    return "; ".join(proposal.edits)


def _size(proposal: Proposal, analysis: Analysis) -> str:
    params = _step("parameters", analysis.totals.params, proposal.params)
    if proposal.macs is None or analysis.totals.macs is None:
        return params
    return f"{params}; {_step('MACs', analysis.totals.macs, proposal.macs)}"


def _step(name: str, old: int, new: int) -> str:
    change = f"{new - old:+,}" if new != old else "the same"
    return f"{new:,} {name} ({change})"


def _rows(before: Sequence[Verdict], after: Sequence[Verdict]) -> list[tuple[str, ...]]:
    """Return what each constraint came to, before and after; what needs training only as a count."""
    rows: list[tuple[str, ...]] = [("Constraint", "Before", "After")]
    untrained = 0
    for old, new in zip(before, after, strict=True):
        if old.state == new.state == "not measured":
            untrained += 1
        else:
            rows.append((old.constraint, _figure(old), _figure(new)))
    if untrained:
        rows.append((f"{untrained} more", "- not measured", "- not measured"))
    return rows


def _figure(verdict: Verdict) -> str:
    return f"{_SIGNS[verdict.state]} {verdict.measured or verdict.state}"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    widths = [*(max(len(row[column]) for row in rows) for column in range(2)), 0]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join([cells[0], *(_judged(cell) for cell in cells[1:])])


def _judged(cell: str) -> str:
    state = next((state for state, sign in _SIGNS.items() if cell.startswith(sign)), "")
    return click.style(cell, fg=_COLOURS.get(state))


def _coloured(line: str) -> str:
    if line.startswith(("+++", "---")):
        return click.style(line, bold=True)
    return click.style(line, fg={"+": "green", "-": "red", "@": "cyan"}.get(line[:1]))


def _no_diff(proposal: Proposal) -> str:
    return f"   no diff: {proposal.reason}" if proposal.reason else ""
