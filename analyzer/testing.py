"""Constraints in a test suite of your own: `assert_constraints(network, ["params < 100k", "rf > 52"])`.

With pytest it is a fixture too (`pytest_plugin`); this module needs no pytest.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn

from cifar_report.analyzer.assemble import analyze
from cifar_report.analyzer.constraints import Verdict, judge, parse_constraint
from cifar_report.analyzer.coverage_asked import completed
from cifar_report.analyzer.errors import Problem

_HEADER = ("constraint", "verdict", "measured", "margin", "evidence")


def assert_constraints(
    module: nn.Module,
    constraints: str | Iterable[str],
    *,
    input_shape: tuple[int, ...] = (3, 32, 32),
    inputs: Any = None,
) -> None:
    """Hold a network against constraints in a test.

    Args:
        module: the network; it stays as it is.
        constraints: as `cifar-report check --require` takes them; one, or a list of at least one.
        input_shape: of one image, (C, H, W).
        inputs: instead of it, for several arguments or other dtypes, as `analyze` takes them.

    Raises:
        AssertionError: one is not met, unknown or not measured; shows all verdicts as a table.
        ValueError: no constraints at all, which would hold for every network.
        UsageError: a constraint can't be read.
        ModelError: the network can't be run.
    """
    __tracebackhide__ = True  # pytest then points at the test's line
    try:
        texts = [constraints] if isinstance(constraints, str) else constraints
        parsed = [parse_constraint(text) for text in texts]
        if not parsed:
            raise ValueError("there are no constraints to hold the network against")
        wanted = input_shape if inputs is None else inputs
        analysis = completed(analyze(module, inputs=wanted), module, wanted, parsed)
        verdicts = judge(parsed, analysis)
    except Problem as problem:
        raise problem.with_traceback(None) from None  # it says itself where, and by whose line
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
