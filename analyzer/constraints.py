"""Constraints, written `metric op value`, and the verdicts on them.

params < 100k        rf > 52        macs <= 40M        depthwise_separable >= 2        fc_after_gap == 0
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cifar_report.analyzer import metrics
from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.errors import UsageError

State = Literal["met", "not met", "unknown", "not measured"]

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_UNITS = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000, "%": 1}
_PARTS = re.compile(
    r"\s*(?P<metric>[A-Za-z_][\w.]*)?\s*(?P<op><=|>=|==|!=|<|>)?\s*(?P<number>[+-]?[\d_,]*\.?\d+)?(?P<unit>[kMG%]?)\s*"
)


@dataclass(frozen=True, slots=True)
class Constraint:
    """A bound on one metric."""

    text: str
    """As written."""
    metric: str
    op: str
    bound: float

    @property
    def required(self) -> str:
        """The bound with its operator, such as `<= 100,000`."""
        return f"{self.op} {spell(self.bound)}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a network stands against one constraint. There is no silent pass."""

    constraint: str
    """As written, such as `params <= 100000`."""
    metric: str
    state: State
    required: str
    """Bound with its operator, such as `<= 100,000`."""
    measured: str | None
    """The figure as text; None where it is unknown or was not measured."""
    margin: str | None
    """Distance to the bound, `+13,184` when there is room and `-3` when it is missed."""
    evidence: str
    """Which layers or which run show it; for unknown, the operator to blame."""

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready data."""
        return {name: getattr(self, name) for name in self.__slots__}


def spell(figure: float) -> str:
    """Return a figure with thousands separators, decimals only where it has some."""
    return f"{int(figure):,}" if figure == int(figure) else f"{figure:,.2f}"


def parse_constraint(text: str) -> Constraint:
    """Read `metric op value`, with `_` or `,` in numbers and the units k, M, G and %.

    Raises:
        UsageError: points at the place that can't be read, or names metrics near a misspelt one.
    """
    match = _PARTS.match(text)
    assert match is not None  # every part is optional
    for part, expected in (
        ("metric", "a metric, such as params, rf or test_accuracy"),
        ("op", "one of < <= == != >= >"),
        ("number", "a number, such as 100k, 52 or 87.5"),
    ):
        if match[part] is None:
            raise _unreadable(text, match, part, expected)
    if match.end() != len(text):
        raise _wrong(text, match.end(), "the end of the constraint; units are k, M, G and %")
    if match["metric"] not in metrics.names():
        near = difflib.get_close_matches(match["metric"], metrics.names(), n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}?" if near else f"metrics: {', '.join(metrics.names())}"
        raise UsageError(f"there is no metric {match['metric']!r}\n  {text}\n  ^", hint=hint)
    number = match["number"].replace(",", "").replace("_", "")
    return Constraint(text.strip(), match["metric"], match["op"], float(number) * _UNITS[match["unit"]])


def _unreadable(text: str, match: re.Match[str], part: str, expected: str) -> UsageError:
    """Point behind the last part that could be read."""
    before = {"metric": "", "op": "metric", "number": "op"}[part]
    place = match.end(before) if before else 0
    while place < len(text) and text[place].isspace():
        place += 1
    return _wrong(text, place, expected)


def _wrong(text: str, place: int, expected: str) -> UsageError:
    return UsageError(
        f"can't read the constraint\n  {text}\n  {' ' * place}^",
        expected=expected,
        hint="write it like 'params < 100k' or 'rf >= 52'",
    )


def judge(
    constraints: Iterable[Constraint], analysis: Analysis, measurements: Mapping[str, float] | None = None
) -> tuple[Verdict, ...]:
    """Hold a network, and its training run where there is one, against constraints."""
    return tuple([_judge(constraint, analysis, measurements or {}) for constraint in constraints])


def _judge(constraint: Constraint, analysis: Analysis, measurements: Mapping[str, float]) -> Verdict:
    reading = metrics.read(constraint.metric, analysis, measurements)
    state: State
    measured = margin = None
    if reading.value is None:
        state = "unknown" if reading.measured else "not measured"
    else:
        state = "met" if _OPERATORS[constraint.op](reading.value, constraint.bound) else "not met"
        measured = reading.text or spell(reading.value)
        margin = _margin(constraint, reading.value)
    return Verdict(
        constraint=constraint.text,
        metric=constraint.metric,
        state=state,
        required=constraint.required,
        measured=measured,
        margin=margin,
        evidence=reading.evidence,
    )


def _margin(constraint: Constraint, value: float) -> str:
    """Return the room to the bound: positive inside, negative outside, 0 on it."""
    room = constraint.bound - value if constraint.op in ("<", "<=") else value - constraint.bound
    if constraint.op in ("==", "!="):
        room = -abs(room) if constraint.op == "==" else abs(room)
    text = spell(room)
    return f"+{text}" if room > 0 else text


def exit_code(verdicts: Iterable[Verdict], *, allow_unknown: bool = False) -> int:
    """Return 1 when a constraint is not met, 4 when one is unknown or not measured, 0 when all are met."""
    states = {verdict.state for verdict in verdicts}
    if "not met" in states:
        return 1
    return 4 if states - {"met"} and not allow_unknown else 0
