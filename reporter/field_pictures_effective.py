"""The effective receptive field as a picture, beside the theoretical one."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from cifar_report.reporter import theme as themes
from cifar_report.reporter.effective_field import TWO_SIGMA, EffectiveField
from cifar_report.reporter.field_pictures import MARGIN, Place, put_image
from cifar_report.reporter.field_pictures_geometry import Box, drawable, surroundings, unit_box
from cifar_report.reporter.theme import WIDTH, Theme
from cifar_report.reporter.wording import TIMES, plural

PANEL = 4.4
"""Side of the image with what is around it, at most [inch]."""
HEAD = 0.66
LEGEND = 0.75
CHART = 1.35
"""Height of a chart [inch]."""


def draw_effective(field: EffectiveField, theme: Theme) -> Figure:
    """Draw the gradient on the image with the theoretical box, and beside it along both axes."""
    size = (field.gradient.shape[0], field.gradient.shape[1])
    frames = _frames(field, theme)
    inside = [frame for frame in frames if drawable(frame[0], size)]
    top, left, height, width = surroundings([box for box, *_ in inside], size)
    scale = min(PANEL / width, PANEL / height)
    panel = max(height * scale + LEGEND, 2 * CHART + 1.5)
    made = themes.figure(2 * MARGIN + HEAD + panel, theme)
    axes = themes.sheet(made)
    over = MARGIN + HEAD
    title = "Effective receptive field: where the gradient of one unit lies"
    axes.text(MARGIN, MARGIN + 0.1, title, va="center", fontsize=10.5, fontweight="bold", color=theme.ink)
    axes.text(MARGIN, MARGIN + 0.34, _note(field), va="center", fontsize=9, color=theme.muted)
    place = Place(MARGIN - left * scale, over - top * scale, scale)
    ground = Rectangle(
        (MARGIN, over), width * scale, height * scale, color=theme.band, linewidth=0, zorder=-1
    )
    axes.add_patch(ground)
    put_image(axes, heat(field), place)
    for row, (box, style, colour, words) in enumerate(frames):
        if drawable(box, size):
            corner = (place.x + box.left * scale, place.y + box.top * scale)
            sides = (box.width * scale, box.height * scale)
            for line, ink, wide in (("-", theme.paper, 3.0), (style, colour, 1.6)):
                edge = Rectangle(corner, *sides, fill=False, edgecolor=ink, linewidth=wide, linestyle=line)
                axes.add_patch(edge)
        down = over + height * scale + 0.22 + 0.2 * row
        axes.plot([MARGIN, MARGIN + 0.4], [down, down], color=colour, linestyle=style, linewidth=1.8)
        words += "" if drawable(box, size) else ", too large to draw"
        axes.text(MARGIN + 0.5, down, words, va="center", fontsize=9, color=theme.ink)
    for axis, name in enumerate(("row", "column")):
        _profile(made, field, axis, name, theme)
    return made


def describe_effective(field: EffectiveField) -> str:
    """Say in words what was measured."""
    height, width = field.gradient.shape
    row, column = field.unit
    return (
        f"Effective receptive field on an image of {height:,} {TIMES} {width:,} px: the gradient of the unit"
        f" in row {row:,}, column {column:,} of a map of {field.map_size[0]:,} {TIMES} {field.map_size[1]:,},"
        f" averaged over {plural(field.images, 'image')}. {_share_words(field, TWO_SIGMA)};"
        f" {_share_words(field, 0.5)}; theoretical field {theoretical_words(field)}."
    )


def effective_box(field: EffectiveField, share: float) -> Box:
    """Return the box around the centre with that share of the gradient along each axis."""
    (row, column), (height, width) = field.centre(), field.extent(share)
    return Box(row - height / 2, column - width / 2, height, width)


def theoretical_words(field: EffectiveField) -> str:
    """Return the theoretical size in words."""
    known = field.theoretical
    if known.kind != "local" or known.size is None:
        return "global: the whole image" if known.kind == "global" else known.kind
    sides = f" {TIMES} ".join(f"{side:,}" for side in known.size)
    return f"{sides} px" + ("" if known.uniform else " (largest)")


def heat(field: EffectiveField) -> NDArray[np.uint8]:
    """Return the square root of the gradient as colours (height, width, 3), dark for none."""
    strength = np.sqrt(field.gradient / field.gradient.max())
    colours = mpl.colormaps["inferno"](strength)[:, :, :3]
    pixels: NDArray[np.uint8] = (colours * 255).round().astype(np.uint8)
    return pixels


def _frames(field: EffectiveField, theme: Theme) -> list[tuple[Box, str, str, str]]:
    """Return boxes with line style, colour and words."""
    box = unit_box(field.theoretical, field.map_size, field.gradient.shape)
    return [
        (box, "-", theme.first, f"theoretical field: {theoretical_words(field)}; shaded"),
        (effective_box(field, TWO_SIGMA), "--", theme.second, _share_words(field, TWO_SIGMA)),
        (effective_box(field, 0.5), ":", theme.third, _share_words(field, 0.5)),
    ]


def _share_words(field: EffectiveField, share: float) -> str:
    sides = f" {TIMES} ".join(f"{side:,.0f}" for side in field.extent(share))
    return f"{100 * share:g} % of the gradient within {sides} px"


def _note(field: EffectiveField) -> str:
    (row, column), (rows, columns) = field.unit, field.map_size
    return (
        f"unit {row:,}, {column:,} of the {rows:,} {TIMES} {columns:,} map before global pooling;"
        f" mean over {plural(field.images, 'image')}; brightness is the square root"
    )


def _profile(made: Figure, field: EffectiveField, axis: int, name: str, theme: Theme) -> None:
    """Draw the gradient along one axis, with the theoretical field as a band."""
    high = made.get_size_inches()[1]
    bottom = high - MARGIN - HEAD - (axis + 1) * CHART - axis * 0.95 - 0.2
    axes = themes.chart(made, (MARGIN + PANEL + 0.95, bottom, WIDTH - PANEL - 1.5, CHART), theme)
    profile = field.profile(axis)
    pixels = np.arange(len(profile))
    box = unit_box(field.theoretical, field.map_size, field.gradient.shape)
    start, length = (box.top, box.height) if axis == 0 else (box.left, box.width)
    axes.axvspan(max(start, -0.5), min(start + length, len(profile) - 0.5), color=theme.band, linewidth=0)
    middle = field.centre()[axis]
    for share, style, colour in ((TWO_SIGMA, "--", theme.second), (0.5, ":", theme.third)):
        reach = field.extent(share)[axis] / 2
        for side in (middle - reach, middle + reach):
            axes.axvline(side, color=colour, linestyle=style, linewidth=1.2)
    thin = 0.8 if len(profile) > 100 else 1.4
    axes.plot(pixels, 100 * profile, color=theme.first, linewidth=thin, drawstyle="steps-mid")
    axes.set_xlim(-0.5, len(profile) - 0.5)
    axes.set_ylim(0, 105 * profile.max())
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(3))
    axes.set_xlabel(name, color=theme.muted, fontsize=9)
    heading = f"Share of the gradient per {name} [%]"
    themes.aside(axes, heading, (0, 1), (0, 5), theme.muted, xycoords="axes fraction")
