"""Constraints in a test suite of your own: `assert_constraints(network, ["params < 100k", "rf > 52"])`."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from cifar_report.analyzer.assemble import analyze
from cifar_report.analyzer.constraints import Verdict, judge, parse_constraint
from cifar_report.analyzer.coverage_asked import completed

_HEADER = ("constraint", "verdict", "measured", "margin", "evidence")


def assert_constraints(
    module: nn.Module, constraints: Iterable[str], *, input_shape: tuple[int, ...] = (3, 32, 32)
) -> None:
    """Hold a network against constraints in a test.

    Args:
        module: the network; it stays as it is.
        constraints: as `cifar-report check --require` takes them, one at least.
        input_shape: of one image, (C, H, W).

    Raises:
        AssertionError: one is not met, unknown or not measured; shows all verdicts as a table.
        ValueError: no constraints at all, which would hold for every network.
        UsageError: a constraint can't be read.
        ModelError: the network can't be run.
    """
    __tracebackhide__ = True  # pytest then points at the test's line
    parsed = [parse_constraint(text) for text in constraints]
    if not parsed:
        raise ValueError("there are no constraints to hold the network against")
    analysis = completed(analyze(module, input_shape), module, input_shape, parsed)
    verdicts = judge(parsed, analysis)
    missed = [verdict for verdict in verdicts if verdict.state != "met"]
    if missed:
        heading = f"{analysis.model} misses {len(missed)} of {len(verdicts)} constraints"
        raise AssertionError(f"{heading}\n{_table(verdicts)}")


def _table(verdicts: Iterable[Verdict]) -> str:
    rows = [_HEADER, *(_row(verdict) for verdict in verdicts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _row(verdict: Verdict) -> tuple[str, ...]:
    return (
        verdict.constraint,
        verdict.state,
        verdict.measured or "-",
        verdict.margin or "-",
        verdict.evidence,
    )
