"""Accuracy per class as bars, and the confusion matrix."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cifar_report.reporter import theme as themes
from cifar_report.reporter.theme import Theme
from cifar_report.reporter.wording import listing, one_line, percent
from cifar_report.trainer.results import Metrics

Counts = NDArray[np.int64]
Colors = NDArray[np.float64]

LETTERED = 20
"""Up to this many classes the matrix shows names and counts."""


def draw_bars(metrics: Metrics, theme: Theme) -> Figure:
    """Draw a bar per class in the data set's order, and a line at the overall accuracy."""
    classes = metrics.per_class
    step = 0.3 if len(classes) <= 40 else 0.17
    high = step * len(classes)
    made = themes.figure(high + 1.15, theme)
    axes = themes.chart(made, (1.6, 0.5, 6.3, high), theme)
    places = range(len(classes))
    accuracies = [item.accuracy if item.count else 0.0 for item in classes]
    axes.barh(places, accuracies, height=0.68, color=theme.first)
    axes.axvline(metrics.accuracy, color=theme.second, linewidth=1.4, linestyle="--")
    side = "center" if 12 < metrics.accuracy < 88 else "left" if metrics.accuracy <= 12 else "right"
    top, across = (metrics.accuracy, 1.0), axes.get_xaxis_transform()
    overall = f"all classes {metrics.accuracy:.2f} %"
    themes.aside(axes, overall, top, (0, 4), theme.second, xycoords=across, ha=side)
    small = 9 if step > 0.2 else 6.5
    for place, item in zip(places, classes, strict=True):
        text = f"{item.accuracy:.1f} %" if item.count else "no images"
        axes.text(101.5, place, text, va="center", fontsize=small, color=theme.ink)
    names = themes.drawable([item.name for item in classes], 18)
    axes.set_yticks(places, names, color=theme.ink, fontsize=small)
    axes.set_ylim(len(classes) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("Accuracy [%]", color=theme.muted, fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return made


def describe_bars(metrics: Metrics) -> str:
    """Say every class's accuracy in words, for up to twenty classes, else the extremes."""
    classes = [item for item in metrics.per_class if item.count]
    if len(classes) > LETTERED:
        ordered = sorted(classes, key=lambda item: item.accuracy)
        worst, best = ordered[0], ordered[-1]
        return (
            f"Bars of the accuracy of {len(classes)} classes, from {percent(worst.accuracy)}"
            f" ({one_line(worst.name)}) to {percent(best.accuracy)} ({one_line(best.name)})."
        )
    parts = [f"{one_line(item.name)} {percent(item.accuracy, 1)}" for item in classes]
    return f"Bars of the accuracy per class: {listing(parts)}. All classes: {percent(metrics.accuracy)}."


def draw_confusion(metrics: Metrics, theme: Theme) -> Figure:
    """Draw right answers and mistakes in two colours, each on its own scale."""
    matrix = np.array(metrics.confusion, dtype=np.int64)
    size = len(matrix)
    side = min(7.0, max(2.6, 0.6 * size))
    made = themes.figure(side + 1.75, theme)
    left = max(1.6, (themes.WIDTH - side) / 2)
    axes = themes.chart(made, (left, 0.55, side, side), theme)
    axes.imshow(_cell_colors(matrix, theme), interpolation="nearest", aspect="equal")
    lettered = size <= LETTERED
    names = themes.drawable([item.name for item in metrics.per_class], 14) if lettered else []
    axes.set_xticks(range(len(names)), names, rotation=40, ha="left", rotation_mode="anchor", color=theme.ink)
    axes.set_yticks(range(len(names)), names, color=theme.ink)
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=9, pad=4)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
    axes.tick_params(which="minor", length=0)
    if lettered:
        axes.grid(which="minor", color=theme.paper, linewidth=2)
        _letter(axes, matrix, theme)
    axes.set_ylabel("Truth", color=theme.muted, fontsize=9)
    axes.set_xlabel(
        "Guess at the top. Diagonal: right answers; elsewhere: mistakes, stronger where more frequent.",
        color=theme.muted,
        fontsize=9,
        labelpad=8,
    )
    return made


def describe_confusion(metrics: Metrics) -> str:
    """Say in words how many are right and which mistake is the most frequent."""
    matrix = np.array(metrics.confusion, dtype=np.int64)
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    start = (
        f"Confusion matrix of {len(matrix)} classes: {metrics.correct:,} of {metrics.count:,} test images lie"
        " on the diagonal."
    )
    if not wrong.any():
        return f"{start} There are no mistakes."
    truth, guess = np.unravel_index(int(wrong.argmax()), wrong.shape)
    names = [one_line(item.name) for item in metrics.per_class]
    times = f"{wrong[truth, guess]:,} images"
    return f"{start} The most frequent mistake is {names[truth]} taken for {names[guess]}, {times}."


def _cell_colors(matrix: Counts, theme: Theme) -> Colors:
    """Return RGB of shape (classes, classes, 3)."""
    wrong = matrix.astype(float)
    np.fill_diagonal(wrong, 0)
    mistakes = _scale(theme.band, theme.second)(wrong / max(1.0, wrong.max()) * 0.85)
    rows = np.maximum(1, matrix.sum(axis=1))
    right = _scale(theme.band, theme.first)(np.diag(matrix) / rows * 0.9)
    colors = mistakes[..., :3]
    index = np.arange(len(matrix))
    colors[index, index] = right[:, :3]
    return np.asarray(colors)


def _scale(low: str, high: str) -> LinearSegmentedColormap:
    return LinearSegmentedColormap.from_list("scale", [low, high])


def _letter(axes: Axes, matrix: Counts, theme: Theme) -> None:
    colors = _cell_colors(matrix, theme)
    for truth, row in enumerate(matrix):
        for guess, number in enumerate(row):
            axes.text(
                guess,
                truth,
                f"{number:,}",
                ha="center",
                va="center",
                fontsize=9 if len(matrix) <= 12 else 6.5,
                color=_readable(colors[truth, guess], theme) if number else theme.muted,
            )


def _readable(background: Colors, theme: Theme) -> str:
    """Return the theme's paper or ink, whichever stands out more."""

    def contrast(color: str) -> float:
        light, dark = sorted((_luminance(np.array(to_rgb(color))), _luminance(background)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    return max((theme.paper, theme.ink), key=contrast)


def _luminance(color: Colors) -> float:
    """Return relative luminance as WCAG 2 defines it, of sRGB in 0..1."""
    linear = np.where(color <= 0.04045, color / 12.92, ((color + 0.055) / 1.055) ** 2.4)
    return float(linear @ np.array([0.2126, 0.7152, 0.0722]))
