"""Metrics that users add: entry points of the group `cifar_report.metrics`, in their own packages.

[project.entry-points."cifar_report.metrics"]
widest = "my_package.metrics:widest"

The name is the metric's; the function takes an Analysis and returns a number, None where there is none,
or a `cifar_report.analyzer.metrics.Reading` with evidence. Nothing is imported until a constraint asks.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.errors import UsageError

if TYPE_CHECKING:
    from cifar_report.analyzer.metrics import Reading

GROUP = "cifar_report.metrics"


def names() -> tuple[str, ...]:
    """Return the names of the metrics that installed packages offer, without importing them."""
    return tuple(sorted(entry_points(group=GROUP).names))


def value(name: str, analysis: Analysis) -> float | Reading | None:
    """Return what a user's function says about a network.

    Raises:
        UsageError: it can't be imported, raises, or returns something else; with package and function.
    """
    from cifar_report.analyzer.metrics import Reading

    (entry,) = [entry for entry in entry_points(group=GROUP) if entry.name == name][:1]
    try:
        found = entry.load()(analysis)
    except Exception as error:
        raise _failed(entry, f"{type(error).__name__}: {error}") from error
    if found is None or isinstance(found, int | float | Reading):
        return found
    raise _failed(entry, f"it returned {type(found).__name__}")


def _failed(entry: EntryPoint, found: str) -> UsageError:
    package = entry.dist.name if entry.dist else "an installed package"
    return UsageError(
        f"the metric {entry.name} of {package} fails",
        expected="a function of an Analysis that returns a number, None or a Reading",
        found=found,
        hint=f"mend {entry.value}, or leave the constraint out",
    )
