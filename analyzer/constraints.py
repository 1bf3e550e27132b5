"""The verdicts on constraints: met, not met, unknown or not measured, each with what shows it.

How a constraint is written is in `expression`:

params < 100k        rf > 52        layers(Linear) == 0        test_accuracy >= 99.4 sustained 3 epochs
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from cifar_report.analyzer import metrics
from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.augmentation import Wanted, held
from cifar_report.analyzer.expression import Constraint, parse_constraint
from cifar_report.analyzer.metrics import Measurements, Reading, spell

__all__ = ["Constraint", "State", "Verdict", "exit_code", "judge", "parse_constraint"]

State = Literal["met", "not met", "unknown", "not measured"]

OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}


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


def judge(
    constraints: Iterable[Constraint], analysis: Analysis, measurements: Measurements | None = None
) -> tuple[Verdict, ...]:
    """Hold a network, and its training run where there is one, against constraints.

    Raises:
        UsageError: a user's own metric fails.
    """
    return tuple([_judge(constraint, analysis, measurements or {}) for constraint in constraints])


def _judge(constraint: Constraint, analysis: Analysis, measurements: Measurements) -> Verdict:
    """Judge a constraint; of a choice the first that is met decides, else the first that is open."""
    verdicts = []
    choice: Constraint | None = constraint
    while choice:
        verdicts.append(_judge_one(choice, analysis, measurements))
        choice = choice.otherwise
    for state in ("met", "unknown", "not measured"):
        for verdict in verdicts:
            if verdict.state == state:
                return _of(constraint, verdict)
    first, *others = verdicts
    missed = [f"{verdict.metric} is {verdict.measured}" for verdict in others]
    return _of(constraint, first, "; ".join([first.evidence, *missed]))


def _of(constraint: Constraint, verdict: Verdict, evidence: str | None = None) -> Verdict:
    """Return the verdict on a choice, of which another one is the verdict on the part that decides."""
    text = verdict.evidence if evidence is None else evidence
    if verdict.metric != constraint.metric:
        text = f"{verdict.metric}: {text}"
    return replace(verdict, required=constraint.required, evidence=text)


def _judge_one(constraint: Constraint, analysis: Analysis, measurements: Measurements) -> Verdict:
    bound = constraint.bound
    if isinstance(bound, Wanted):
        return _judge_augmentation(constraint, bound, measurements)
    if isinstance(bound, str):
        return _judge_word(constraint, bound, measurements)
    if constraint.sustained:
        return _judge_sustained(constraint, bound, measurements)
    return _judge_figure(constraint, bound, metrics.read(constraint.metric, analysis, measurements))


def _judge_figure(constraint: Constraint, bound: float, reading: Reading) -> Verdict:
    if reading.value is None:
        return _verdict(constraint, "unknown" if reading.measured else "not measured", reading.evidence)
    met = OPERATORS[constraint.op](reading.value, bound)
    return _verdict(
        constraint,
        "met" if met else "not met",
        reading.evidence,
        measured=reading.text or spell(reading.value),
        margin=_margin(constraint.op, bound, reading.value),
    )


def _judge_sustained(constraint: Constraint, bound: float, measurements: Measurements) -> Verdict:
    """Judge the worst of the last epochs. Too few epochs are a miss: they can't have sustained it."""
    lowest = constraint.op in (">", ">=")
    reading = metrics.read_sustained(constraint.metric, constraint.sustained, lowest, measurements)
    if reading.value is None and reading.measured:
        return _verdict(constraint, "not met", reading.evidence, measured="too few epochs")
    return _judge_figure(constraint, bound, reading)


def _judge_word(constraint: Constraint, bound: str, measurements: Measurements) -> Verdict:
    """Judge a device by its kind: `cuda:1` is cuda."""
    found = measurements.get(constraint.metric)
    if not isinstance(found, str):
        return _verdict(constraint, "not measured", metrics.UNTRAINED)
    met = OPERATORS[constraint.op](found.partition(":")[0], bound)
    return _verdict(
        constraint, "met" if met else "not met", metrics.TRAINED[constraint.metric], measured=found
    )


def _judge_augmentation(constraint: Constraint, wanted: Wanted, measurements: Measurements) -> Verdict:
    pipeline = measurements.get(constraint.metric)
    if not isinstance(pipeline, list | tuple):
        return _verdict(constraint, "not measured", metrics.UNTRAINED)
    answer = held(wanted, pipeline)
    if answer.met is None:
        return _verdict(constraint, "unknown", answer.evidence)
    return _verdict(constraint, "met" if answer.met else "not met", answer.evidence, measured=answer.measured)


def _verdict(
    constraint: Constraint, state: State, evidence: str, *, measured: str | None = None,
    margin: str | None = None,
) -> Verdict:  # fmt: skip
    return Verdict(
        constraint=constraint.text,
        metric=constraint.metric,
        state=state,
        required=constraint.required,
        measured=measured,
        margin=margin,
        evidence=evidence,
    )


def _margin(op: str, bound: float, value: float) -> str:
    """Return the room to the bound: positive inside, negative outside, 0 on it."""
    room = bound - value if op in ("<", "<=") else value - bound
    if op in ("==", "!="):
        room = -abs(room) if op == "==" else abs(room)
    text = spell(room)
    return f"+{text}" if room > 0 else text


def exit_code(verdicts: Iterable[Verdict], *, allow_unknown: bool = False) -> int:
    """Return 1 when a constraint is not met, 4 when one is unknown or not measured, 0 when all are met."""
    states = {verdict.state for verdict in verdicts}
    if "not met" in states:
        return 1
    return 4 if states - {"met"} and not allow_unknown else 0
