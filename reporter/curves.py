"""Loss, accuracy and learning rate over the epochs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cifar_report.reporter import theme as themes
from cifar_report.reporter.theme import Theme
from cifar_report.reporter.wording import percent, plural
from cifar_report.trainer.results import Epoch

DOTTED = 15
"""Up to this many epochs every epoch gets a dot."""


def draw(history: Sequence[Epoch], theme: Theme) -> Figure:
    """Draw two panels, losses and accuracies, above the learning rate."""
    made = themes.figure(5.1, theme)
    loss = themes.chart(made, (0.65, 1.85, 3.65, 2.45), theme)
    accuracy = themes.chart(made, (5.1, 1.85, 3.65, 2.45), theme)
    rate = themes.chart(made, (0.65, 0.5, 8.1, 0.7), theme)
    best, last = best_epoch(history), history[-1]
    _pair(loss, history, ("train_loss", "loss"), theme)
    _pair(accuracy, history, ("train_accuracy", "accuracy"), theme)
    _mark(loss, best, last, "loss", theme)
    _mark(accuracy, best, last, "accuracy", theme)
    themes.heading(
        loss,
        "Loss, mean per image",
        f"○ best epoch {best.loss:.4f}    ● last {last.loss:.4f}",
        theme,
    )
    themes.heading(
        accuracy,
        "Accuracy [%]",
        f"○ best {best.accuracy:.2f} in epoch {best.epoch}    ● last {last.accuracy:.2f}",
        theme,
    )
    themes.heading(rate, "Learning rate at the end of the epoch", "", theme)
    numbers = [epoch.epoch for epoch in history]
    rate.plot(numbers, [epoch.learning_rate for epoch in history], color=theme.third, **_dots(history))
    rate.set_ylim(bottom=0)
    rate.yaxis.set_major_locator(MaxNLocator(2))
    rate.set_xlabel("Epoch", color=theme.muted, fontsize=9)
    for axes in (loss, accuracy, rate):
        _epochs(axes, history, theme)
    return made


def best_epoch(history: Sequence[Epoch]) -> Epoch:
    """Return the first epoch with the highest test accuracy."""
    return max(history, key=lambda epoch: epoch.accuracy)


def describe(history: Sequence[Epoch]) -> str:
    """Say in words what the curves show."""
    first, last, best = history[0], history[-1], best_epoch(history)
    where = last.judged_on.capitalize()
    start, end, top = (percent(epoch.accuracy) for epoch in (first, last, best))
    return (
        f"Curves over {plural(len(history), 'epoch')}. {where} accuracy goes from {start} in epoch"
        f" {first.epoch} to {end} in the last, {last.epoch}; the best is {top} in epoch {best.epoch}."
        f" Training accuracy ends at {percent(last.train_accuracy)}."
        f" {where} loss goes from {first.loss:.4f} to {last.loss:.4f}, training loss from"
        f" {first.train_loss:.4f} to {last.train_loss:.4f}."
        f" The learning rate ends at {last.learning_rate:.6f}."
    )


def _pair(axes: Axes, history: Sequence[Epoch], names: tuple[str, str], theme: Theme) -> None:
    numbers = [epoch.epoch for epoch in history]
    for name, label, color, style in zip(
        names, ("training", history[-1].judged_on), (theme.first, theme.second), ("--", "-"), strict=True
    ):
        values = [getattr(epoch, name) for epoch in history]
        axes.plot(numbers, values, style, color=color, label=label, **_dots(history))
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9, loc="best", handlelength=2.4)


def _dots(history: Sequence[Epoch]) -> dict[str, Any]:
    return {"linewidth": 1.8, "marker": "." if len(history) <= DOTTED else "", "markersize": 6}


def _mark(axes: Axes, best: Epoch, last: Epoch, name: str, theme: Theme) -> None:
    style: dict[str, Any] = {"linestyle": "none", "marker": "o", "markeredgecolor": theme.second, "zorder": 4}
    for epoch, size, fill in ((best, 9, theme.paper), (last, 6, theme.second)):
        value = getattr(epoch, name)
        if math.isfinite(value):
            axes.plot(
                [epoch.epoch], [value], markersize=size, markerfacecolor=fill, markeredgewidth=1.6, **style
            )


def _epochs(axes: Axes, history: Sequence[Epoch], theme: Theme) -> None:
    last = history[-1].epoch
    axes.set_xlim(0.5 if last <= DOTTED else 0, last + max(0.5, last * 0.02))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=theme.line, linewidth=0.6)
