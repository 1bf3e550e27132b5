"""Pictures of where the network looked: each image, and beneath it the same with the heat laid over it."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cifar_report.reporter import theme as themes
from cifar_report.reporter.field_pictures_image import colours
from cifar_report.reporter.measured import Look
from cifar_report.reporter.photo_grids import MARGIN, Images, put
from cifar_report.reporter.theme import WIDTH, Theme
from cifar_report.reporter.wording import percent

IN_ROW = 6
SIZE = 1.25
"""Side of an image [inch]."""
BAND = 2 * SIZE + 0.85


def draw(looks: Sequence[Look], classes: Sequence[str], theme: Theme) -> Figure:
    """Draw a band of images that were guessed right, and one of those that weren't."""
    groups = [[look for look in looks if look.right], [look for look in looks if not look.right]]
    bands = [group[start : start + IN_ROW] for group in groups for start in range(0, len(group), IN_ROW)]
    made = themes.figure(2 * MARGIN + len(bands) * BAND - 0.2, theme)
    axes = themes.sheet(made)
    names = themes.drawable(classes, 12)
    step = (WIDTH - 2 * MARGIN) / IN_ROW
    for row, band in enumerate(bands):
        for column, look in enumerate(band):
            _one(axes, look, names, MARGIN + column * step, MARGIN + row * BAND, theme)
    return made


def overlay(look: Look) -> Images:
    """Return the image, greyed, with the heat laid over it: (H, W, 3)."""
    grey = colours(look.image).astype(np.float64).mean(axis=2, keepdims=True)
    warm: NDArray[np.float64] = 255 * mpl.colormaps["inferno"](look.heat)[:, :, :3]
    weight = 0.25 + 0.5 * look.heat[:, :, None]
    mixed: Images = (grey * (1 - weight) + warm * weight).round().astype(np.uint8)
    return mixed


def _one(axes: Axes, look: Look, names: Sequence[str], x: float, y: float, theme: Theme) -> None:
    put(axes, look.image, x, y, SIZE)
    put(axes, overlay(look), x, y + SIZE + 0.05, SIZE)
    below = y + 2 * SIZE + 0.2
    axes.text(x, below, f"is {names[look.truth]}", va="center", fontsize=9, color=theme.ink)
    guess = "recognised" if look.right else f"taken for {names[look.guess]}"
    axes.text(
        x, below + 0.17, guess, va="center", fontsize=9, color=theme.third if look.right else theme.second
    )
    sure = f"{percent(look.confidence, 1)} sure, {look.split}"
    axes.text(x, below + 0.33, sure, va="center", fontsize=7.5, color=theme.muted)
