"""Accuracy over confidence, and how many images have which confidence."""

from __future__ import annotations

from matplotlib.figure import Figure

from cifar_report.reporter import theme as themes
from cifar_report.reporter.theme import Theme
from cifar_report.reporter.wording import percent
from cifar_report.trainer.results import Calibration


def draw(calibration: Calibration, theme: Theme) -> Figure:
    """Draw a bar per bin of confidence beside the line where both agree, above the number of images."""
    made = themes.figure(4.9, theme)
    upper = themes.chart(made, (0.95, 1.95, 6.6, 2.2), theme)
    lower = themes.chart(made, (0.95, 0.5, 6.6, 0.8), theme)
    bins = [row for row in calibration.bins if row.accuracy is not None and row.confidence is not None]
    width = 100 * (calibration.bins[0].high - calibration.bins[0].low) * 0.86
    middles = [50 * (row.low + row.high) for row in bins]
    upper.bar(
        middles, [100 * (row.accuracy or 0) for row in bins], width, color=theme.first, label="accuracy"
    )
    upper.plot(
        [100 * (row.confidence or 0) for row in bins],
        [100 * (row.confidence or 0) for row in bins],
        "o",
        color=theme.second,
        markersize=5,
        label="mean confidence",
    )
    upper.plot([0, 100], [0, 100], "--", color=theme.muted, linewidth=1.2, label="as sure as right")
    upper.set_ylim(0, 105)
    upper.legend(frameon=False, labelcolor=theme.ink, fontsize=9, loc="upper left")
    error = f"expected calibration error {100 * calibration.error:.2f} points"
    themes.heading(upper, "Accuracy by confidence [%]", error, theme)
    lower.bar(middles, [row.count for row in bins], width, color=theme.third)
    themes.heading(lower, "Test images", "", theme)
    lower.set_xlabel("Confidence [%]", color=theme.muted, fontsize=9)
    for axes in (upper, lower):
        axes.set_xlim(0, 100)
        axes.grid(axis="y", color=theme.line, linewidth=0.6)
    return made


def describe(calibration: Calibration) -> str:
    """Say in words what the bars show."""
    parts = [
        f"{percent(100 * row.accuracy, 0)} right of {row.count:,} at {percent(100 * row.confidence, 0)}"
        for row in calibration.bins
        if row.accuracy is not None and row.confidence is not None
    ]
    return (
        f"Accuracy by confidence, in {len(calibration.bins)} bins of which {len(parts)} hold images:"
        f" {'; '.join(parts)}. Expected calibration error {100 * calibration.error:.2f} points."
    )
