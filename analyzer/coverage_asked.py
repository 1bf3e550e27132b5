"""Coverage for constraints: measured when one asks for it, and not even imported otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from torch import nn

from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.expression import Constraint
from cifar_report.analyzer.metrics import OF_COVERAGE


def completed(
    analysis: Analysis, module: nn.Module, inputs: Any, constraints: Iterable[Constraint]
) -> Analysis:
    """Return an analysis with its coverage, if constraints ask for that; else the analysis as it is.

    Args:
        analysis: of the module, for these inputs.
        module: the network.
        inputs: as for `analyze`.
        constraints: that it is going to be held against.
    """
    for constraint in constraints:
        choice: Constraint | None = constraint
        while choice is not None:
            if choice.metric in OF_COVERAGE:
                from cifar_report.analyzer.coverage_measure import measure_coverage

                return replace(analysis, coverage=measure_coverage(module, inputs))
            choice = choice.otherwise
    return analysis
