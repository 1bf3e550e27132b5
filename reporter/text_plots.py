"""Plots of characters, for a report without pictures: curves over epochs, and bars."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cifar_report.reporter.wording import one_line, percent

if TYPE_CHECKING:
    from cifar_report.trainer.results import Calibration, Epoch, Metrics

WIDTH = 60
HEIGHT = 12
BAR = 40
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def curve(history: Sequence[Epoch]) -> str:
    """Return accuracy over the epochs: `*` on the images that the epochs were judged on, `.` in training."""
    judged = [epoch.accuracy for epoch in history]
    trained = [epoch.train_accuracy for epoch in history]
    known = [value for value in (*judged, *trained) if math.isfinite(value)]
    if not known:
        return ""
    low, high = min(known), max(known)
    rows = [[" "] * WIDTH for _ in range(HEIGHT)]
    for mark, values in ((".", trained), ("*", judged)):
        for place, value in enumerate(values):
            if math.isfinite(value):
                column = round(place * (WIDTH - 1) / max(1, len(values) - 1))
                share = (value - low) / (high - low) if high > low else 0.5
                rows[HEIGHT - 1 - round(share * (HEIGHT - 1))][column] = mark
    labels = [f"{high:6.2f} %", *[" " * 8] * (HEIGHT - 2), f"{low:6.2f} %"]
    lines = [f"{label} |{''.join(row).rstrip()}" for label, row in zip(labels, rows, strict=True)]
    ends = f"epoch {history[0].epoch}".ljust(WIDTH - 4) + str(history[-1].epoch).rjust(4)
    legend = f"* {history[-1].judged_on} accuracy   . training accuracy"
    return "\n".join([*lines, " " * 9 + "+" + "-" * WIDTH, " " * 10 + ends, legend])


def class_bars(metrics: Metrics) -> str:
    """Return a bar per class, 0 to 100 %."""
    rows = [(one_line(item.name), item.accuracy if item.count else None) for item in metrics.per_class]
    return bars([*rows, ("all classes", metrics.accuracy)])


def calibration_bars(calibration: Calibration) -> str:
    """Return the accuracy of each bin of confidence as a bar."""
    rows = [
        (
            f"{100 * row.low:3.0f} to {100 * row.high:3.0f} %",
            None if row.accuracy is None else 100 * row.accuracy,
        )
        for row in calibration.bins
    ]
    return bars(rows)


def bars(rows: Sequence[tuple[str, float | None]]) -> str:
    """Return a line for every name and figure [%], with a bar of at most 40 characters."""
    widest = max(_width(name) for name, _ in rows)
    lines = []
    for name, value in rows:
        label = name + " " * (widest - _width(name))
        figure = "no images" if value is None else percent(value, 1)
        lines.append(f"{label} {_bar(value or 0.0)} {figure:>9}")
    return "\n".join(lines)


def _bar(value: float) -> str:
    eighths = round(8 * BAR * min(100.0, max(0.0, value)) / 100)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (_EIGHTHS[rest] if rest else "")).ljust(BAR)


def _width(text: str) -> int:
    """Return how many columns a text takes in a fixed-width font."""
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
