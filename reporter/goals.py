"""The verdicts as a reader wants them: one sentence for all, one row for each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cifar_report.reporter.wording import listing, one_line, plural

if TYPE_CHECKING:
    from cifar_report.analyzer.constraints import State, Verdict

# Symbol for a text font, symbol for GitHub, name for a style sheet. The words always stand beside them.
MARKS: dict[State, tuple[str, str, str]] = {
    "met": ("✓", "✅", "met"),
    "not met": ("✗", "❌", "missed"),
    "unknown": ("?", "❔", "open"),
    "not measured": ("○", "⬜", "open"),
}


@dataclass(frozen=True, slots=True)
class Goal:
    """One constraint, what was found, and the state in words and symbols."""

    constraint: str
    required: str
    measured: str
    margin: str
    evidence: str
    state: str
    symbol: str
    emoji: str
    style: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Goals:
    """All constraints and the one sentence that sums them up."""

    headline: str
    symbol: str
    emoji: str
    style: str
    rows: tuple[Goal, ...]
    achieved: tuple[Goal, ...]
    missed: tuple[Goal, ...]
    open: tuple[Goal, ...]


def describe(verdicts: tuple[Verdict, ...]) -> Goals:
    """Turn verdicts into goals; a run without constraints says that nothing is judged."""
    rows = tuple(_goal(verdict) for verdict in verdicts)
    overall = _overall(verdicts)
    symbol, emoji, style = MARKS[overall]
    return Goals(
        headline=_headline(verdicts),
        symbol=symbol,
        emoji=emoji,
        style=style,
        rows=rows,
        achieved=tuple(row for row in rows if row.state == "met"),
        missed=tuple(row for row in rows if row.state == "not met"),
        open=tuple(row for row in rows if row.state in ("unknown", "not measured")),
    )


def _overall(verdicts: tuple[Verdict, ...]) -> State:
    states = {verdict.state for verdict in verdicts}
    order: tuple[State, ...] = ("not met", "unknown", "not measured", "met")
    return next((state for state in order if state in states), "not measured")


def _headline(verdicts: tuple[Verdict, ...]) -> str:
    total = len(verdicts)
    if total == 0:
        return "No constraints were given, so nothing is judged."
    counts = Counter(verdict.state for verdict in verdicts)
    if counts["met"] == total:
        return "The one constraint is met." if total == 1 else f"All {total} constraints are met."
    parts = [f"{counts[state]} {state}" for state in MARKS if counts[state]]
    return f"Of {plural(total, 'constraint')}: {listing(parts)}."


def _goal(verdict: Verdict) -> Goal:
    symbol, emoji, style = MARKS[verdict.state]
    is_open = verdict.state in ("unknown", "not measured")
    measured = one_line(verdict.measured or (verdict.state if is_open else "not given"))
    margin = one_line(verdict.margin or (verdict.state if is_open else "does not apply"))
    required = one_line(verdict.required)
    finding = verdict.state if is_open else f"measured {measured}, margin {margin}"
    return Goal(
        constraint=one_line(verdict.constraint),
        required=required,
        measured=measured,
        margin=margin,
        evidence=one_line(verdict.evidence) or "none given",
        state=verdict.state,
        symbol=symbol,
        emoji=emoji,
        style=style,
        sentence=f"required {required}; {finding}",
    )
