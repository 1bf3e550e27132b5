"""Tables of formulas by operator name."""

from __future__ import annotations

from collections.abc import Callable

from cifar_report.analyzer.graph import Node

Formula = Callable[[Node], int]


def formula(table: dict[str, Formula], *names: str) -> Callable[[Formula], Formula]:
    """Register a formula under operator names; a name can have one only."""

    def register(function: Formula) -> Formula:
        for name in names:
            if name in table:
                raise ValueError(f"operator {name} has a cost already")
            table[name] = function
        return function

    return register
