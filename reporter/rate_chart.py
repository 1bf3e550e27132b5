"""The loss over the learning rates of a sweep."""

from __future__ import annotations

import io

from matplotlib.figure import Figure

from cifar_report.reporter import theme as themes
from cifar_report.reporter.theme import Theme
from cifar_report.trainer.rate_sweep import Sweep

SHOWN = 1.5
"""Times the loss at first up to which losses are drawn; what explodes leaves the picture at the top."""


def rate_svg(sweep: Sweep) -> str:
    """Return the picture as the text of an SVG."""
    text = io.StringIO()
    with themes.drawing():
        made = draw(sweep, themes.LIGHT)
        made.savefig(text, format="svg", facecolor=made.get_facecolor(), metadata={"Date": None})
    return text.getvalue()


def draw(sweep: Sweep, theme: Theme) -> Figure:
    """Draw each loss, the smoothed loss, the suggested rate and the one with the lowest loss."""
    made = themes.figure(3.8, theme)
    axes = themes.chart(made, (0.65, 0.6, 8.0, 2.5), theme)
    rates = [point.learning_rate for point in sweep.points]
    losses = [point.loss for point in sweep.points]
    means = [point.smoothed for point in sweep.points]
    axes.plot(rates, losses, color=theme.line, linewidth=1, label="loss of each step")
    axes.plot(rates, means, color=theme.first, linewidth=1.8, label="smoothed")
    for rate, color, style, name in (
        (sweep.suggestion, theme.second, "-", "suggested"),
        (sweep.lowest, theme.third, "--", "lowest"),
    ):
        if rate is not None:
            axes.axvline(rate, color=color, linestyle=style, linewidth=1.4, label=f"{name}: {rate:.3g}")
    axes.set_xscale("log")
    if sweep.points:
        axes.set_ylim(min(0.9 * min(means), min(losses)), SHOWN * losses[0])
    axes.set_xlabel("Learning rate", color=theme.muted, fontsize=9)
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9, loc="lower left")
    note = sweep.ended if sweep.suggestion is not None else f"no suggestion; {sweep.ended}"
    themes.heading(axes, "Loss after a step at each learning rate", note, theme)
    return made
