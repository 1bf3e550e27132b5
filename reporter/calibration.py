"""Whether the network is right as often as it is sure, in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cifar_report.reporter.tables import Column, Table
from cifar_report.reporter.wording import count, percent

if TYPE_CHECKING:
    from cifar_report.trainer.results import Bin, Metrics

ABSENT = "not measured in this run"


@dataclass(frozen=True, slots=True)
class CalibrationWords:
    """How far confidence and accuracy are apart."""

    sentence: str
    bins: Table | None
    """None where the run didn't measure it."""


def describe(metrics: Metrics | None) -> CalibrationWords:
    """Turn a run's calibration into a sentence and a table of its bins."""
    if metrics is None or metrics.calibration is None:
        return CalibrationWords(f"Calibration: {ABSENT}.", None)
    calibration = metrics.calibration
    sure = sum(row.count * row.confidence for row in calibration.bins if row.confidence is not None)
    mean = 100 * sure / metrics.count
    side = "more sure than right" if mean > metrics.accuracy else "less sure than right"
    return CalibrationWords(
        f"On average the network is {percent(mean)} sure and {percent(metrics.accuracy)} right: {side}."
        f" Over {len(calibration.bins)} bins of confidence, the two are {100 * calibration.error:.2f} points"
        " apart (expected calibration error).",
        _table(calibration.bins, metrics),
    )


def _table(bins: tuple[Bin, ...], metrics: Metrics) -> Table:
    right = {"right": True}
    return Table(
        "Confidence and accuracy, by confidence",
        (
            Column("Confidence above"),
            Column("Up to", **right),
            Column("Images", **right),
            Column("Mean confidence", **right),
            Column("Accuracy", **right),
        ),
        tuple(_row(row) for row in bins),
        total=("All", "100.0 %", count(metrics.count), "see above", percent(metrics.accuracy)),
    )


def _row(row: Bin) -> tuple[str, ...]:
    found = (
        ("no images", "no images")
        if row.confidence is None or row.accuracy is None
        else (percent(100 * row.confidence), percent(100 * row.accuracy))
    )
    return (percent(100 * row.low, 1), percent(100 * row.high, 1), count(row.count), *found)
