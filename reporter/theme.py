"""Colours, lettering and files of the figures: matplotlib without pyplot, light and dark, reproducible.

The series colours are Okabe and Ito's, which stay apart for colour-blind readers
(https://jfly.uni-koeln.de/color/).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from PIL import Image

from cifar_report.reporter.wording import one_line

WIDTH = 9.0
"""Of every figure [inch]."""
PNG_DPI = 144


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one variant; contrast of `ink` and `muted` to `paper` is at least 4.5 to 1."""

    name: Literal["light", "dark"]
    paper: str
    ink: str
    muted: str
    line: str
    band: str
    first: str
    second: str
    third: str


LIGHT = Theme("light", "#ffffff", "#1f2328", "#59636e", "#d1d9e0", "#f3f5f8", "#0072b2", "#b84a00", "#00795a")
DARK = Theme("dark", "#0d1117", "#e6edf3", "#9198a1", "#30363d", "#161b22", "#56b4e9", "#f0a742", "#2fc79a")
THEMES = (LIGHT, DARK)


@contextmanager
def drawing() -> Iterator[None]:
    """Draw with our settings, whatever the user's matplotlibrc says, and leave theirs as they were."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(
            {
                "font.family": ["DejaVu Sans"],
                "font.size": 10,
                "text.parse_math": False,  # a class may be called $x$
                "svg.hashsalt": "cifar-report",
                "svg.fonttype": "path",
                "axes.formatter.use_mathtext": False,
            }
        )
        yield


def figure(height: float, theme: Theme) -> Figure:
    """Return an empty figure of the common width and a height [inch]."""
    made = Figure(figsize=(WIDTH, height), facecolor=theme.paper, layout=None)
    FigureCanvasAgg(made)
    return made


def chart(figure: Figure, box: tuple[float, float, float, float], theme: Theme) -> Axes:
    """Return axes in a box (left, bottom, width, height) [inch] with quiet lines."""
    wide, high = figure.get_size_inches()
    left, bottom, width, height = box
    axes = figure.add_axes((left / wide, bottom / high, width / wide, height / high), facecolor=theme.paper)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(theme.line)
    axes.tick_params(colors=theme.muted, labelsize=9, length=3, color=theme.line)
    axes.set_axisbelow(True)
    return axes


def heading(axes: Axes, title: str, note: str, theme: Theme, above: float = 0) -> None:
    """Write a title and a quieter line beneath it, `above` points higher than usual."""
    pad = above + (20 if note else 6)
    axes.set_title(title, loc="left", color=theme.ink, fontsize=10.5, fontweight="bold", pad=pad)
    aside(axes, note, (0, 1), (0, above + 7), theme.muted, xycoords="axes fraction")


def aside(
    axes: Axes, text: str, place: tuple[float, float], shift: tuple[float, float], color: str, **options: Any
) -> None:
    """Write beside a place of the axes, shifted by points."""
    options = {"fontsize": 9, **options}
    axes.annotate(
        text, place, shift, textcoords="offset points", color=color, annotation_clip=False, **options
    )


def sheet(figure: Figure) -> Axes:
    """Return axes over the whole figure, in inches from the top left, without any lines."""
    wide, high = figure.get_size_inches()
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, wide)
    axes.set_ylim(high, 0)
    axes.set_axis_off()
    return axes


def save(figure: Figure, path: Path) -> None:
    """Write SVG, PDF or PNG, by the name's ending, without a date."""
    if path.suffix == ".png":
        pixels(figure).save(path)
    else:
        undated = {"Date": None} if path.suffix == ".svg" else {"CreationDate": None}
        figure.savefig(path, facecolor=figure.get_facecolor(), metadata=undated)


def pixels(figure: Figure) -> Image.Image:
    """Return what a PNG of a figure holds. To write it is Pillow's work, for any thread; to draw is not."""
    figure.set_dpi(PNG_DPI)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # untyped in matplotlib
    drawn = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]  # untyped in matplotlib too
    return Image.fromarray(drawn).convert("RGB")


def drawable(names: Sequence[str], longest: int) -> list[str]:
    """Return names as the font can draw them, at most `longest` characters, none of them empty.

    What the font lacks is left out; a name of which nothing remains becomes `class 3`.
    """
    glyphs = _glyphs()
    drawn = []
    for index, name in enumerate(names):
        kept = "".join(character for character in one_line(name) if ord(character) in glyphs).strip()
        kept = kept or f"class {index}"
        drawn.append(kept if len(kept) <= longest else kept[: longest - 1].rstrip() + "…")
    return drawn


@lru_cache(maxsize=1)
def _glyphs() -> frozenset[int]:
    path = findfont(FontProperties(family="DejaVu Sans"))
    return frozenset(get_font(path).get_charmap())
