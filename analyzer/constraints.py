"""Constraints and the verdicts on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

State = Literal["met", "not met", "unknown", "not measured"]


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
