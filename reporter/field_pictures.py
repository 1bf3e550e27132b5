"""Receptive fields drawn on an image: one box per layer, where the middle unit of its map looks.

Fields are theoretical: what lies outside of the image is padding, and is drawn too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from cifar_report.analyzer.analysis import Analysis, Layer, ReceptiveField
from cifar_report.analyzer.errors import UsageError
from cifar_report.reporter import theme as themes
from cifar_report.reporter.field_pictures_geometry import Box, drawable, image_of, surroundings, unit_box
from cifar_report.reporter.network import shown_layers
from cifar_report.reporter.network_graph_words import fitted
from cifar_report.reporter.theme import WIDTH, Theme
from cifar_report.reporter.wording import TIMES, extent, listing, one_line

Image = NDArray[np.uint8]

SHOWN = 9
"""Boxes in one picture."""
MARGIN = 0.2
PANEL = 4.7
"""Of the image with what is around it, at most [inch]."""
HIGHEST = 5.2
ROW = 0.46


@dataclass(frozen=True, slots=True)
class FieldBox:
    """What the unit of a layer's map sees that lies nearest to the image's centre."""

    layer: str
    map_size: tuple[int, int]
    field: ReceptiveField
    box: Box
    """The whole image where the field is global."""


def field_boxes(analysis: Analysis, limit: int = SHOWN) -> tuple[FieldBox, ...]:
    """Return the boxes of layers at which the field grows, in order, at most `limit`.

    Of more, the last of every map size are taken first, then others at equal distances.

    Raises:
        UsageError: the input isn't an image, or no layer has a field that can be drawn.
    """
    image_size = image_of(analysis)
    grown: list[FieldBox] = []
    for layer in shown_layers(analysis):
        found = _field_box(layer, image_size)
        if found is None or (grown and _same(grown[-1].field, found.field)):
            continue
        grown.append(found)
    if not grown:
        raise UsageError(
            f"no layer of {analysis.model} has a receptive field to draw",
            expected="a layer whose output is a map and whose field is local or global",
        )
    return tuple(_thinned(grown, limit))


def can_draw(analysis: Analysis) -> bool:
    """Tell whether there is an image, and a field on it."""
    try:
        return bool(field_boxes(analysis))
    except UsageError:
        return False


def draw_boxes(analysis: Analysis, image: Image, theme: Theme) -> Figure:
    """Draw the fields of layers as boxes on an image (height, width, 3) of the network's input size."""
    boxes = field_boxes(analysis)
    size = image_of(analysis)
    inside = [row for row in boxes if drawable(row.box, size)]
    top, left, height, width = surroundings([row.box for row in inside], size)
    scale = min(PANEL / width, HIGHEST / height)
    rows_high = ROW * len(boxes)
    panel_high = max(height * scale, rows_high)
    made = themes.figure(panel_high + 2 * MARGIN + 0.62, theme)
    axes = themes.sheet(made)
    over = MARGIN + 0.62 + (panel_high - height * scale) / 2
    axes.text(
        MARGIN, MARGIN + 0.1, "What one unit of each layer sees", va="center", fontsize=10.5,
        fontweight="bold", color=theme.ink,
    )  # fmt: skip
    axes.text(MARGIN, MARGIN + 0.33, _note(boxes, size), va="center", fontsize=9, color=theme.muted)
    place = Place(MARGIN - left * scale, over - top * scale, scale)
    axes.add_patch(
        Rectangle((MARGIN, over), width * scale, height * scale, color=theme.band, linewidth=0, zorder=-1)
    )
    put_image(axes, image, place)
    colours = _scale(len(boxes), theme)
    column = MARGIN + PANEL + 0.45
    start = MARGIN + 0.62 + (panel_high - rows_high) / 2 + ROW / 2
    for index in sorted(range(len(boxes)), key=lambda index: -boxes[index].box.height):
        if boxes[index] in inside:
            _frame(axes, boxes[index], place, colours[index], theme)
    for index, (row, colour) in enumerate(zip(boxes, colours, strict=True)):
        down = start + index * ROW
        if row in inside:
            corner = (place.x + row.box.right * scale, place.y + row.box.bottom * scale)
            axes.plot([corner[0], column - 0.1], [corner[1], down], color=colour, linewidth=0.9)
        axes.add_patch(Rectangle((column - 0.1, down - 0.035), 0.07, 0.07, color=colour, linewidth=0))
        _entry(axes, row, column + 0.06, down, row in inside, theme)
    return made


def describe_boxes(analysis: Analysis) -> str:
    """Say in words what the boxes show."""
    size = image_of(analysis)
    parts = [f"{one_line(row.layer)} {_size_words(row)}" for row in field_boxes(analysis)]
    return (
        f"Receptive fields of the middle unit on an image of {size[0]:,} {TIMES} {size[1]:,} px:"
        f" {listing(parts)}."
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where the centre of the image's first pixel lies on the sheet, and how large a pixel is [inch]."""

    x: float
    y: float
    scale: float


def put_image(axes: Axes, image: Image, place: Place) -> None:
    """Put an image (height, width, 3) in its place on the sheet, pixel by pixel."""
    high, wide = image.shape[:2]
    left, top = place.x - place.scale / 2, place.y - place.scale / 2
    picture = AxesImage(
        axes,
        extent=(left, left + wide * place.scale, top + high * place.scale, top),
        interpolation="none",
        origin="upper",
    )
    picture.set_data(image)
    axes.add_image(picture)


def _entry(axes: Axes, row: FieldBox, x: float, y: float, drawn: bool, theme: Theme) -> None:
    """Write a layer's name, and under it its figures."""
    (name,) = themes.drawable([row.layer], 200)
    room = (WIDTH - x) * 72
    shown = fitted(name, room, 9, tail=0.85)
    axes.text(x, y - 0.09, shown, va="center", fontsize=9, color=theme.ink)
    figures = _figures(row) + ("" if drawn else "; too large to draw")
    axes.text(x, y + 0.09, fitted(figures, room, 8), va="center", fontsize=8, color=theme.muted)


def _scale(number: int, theme: Theme) -> list[str]:
    """Return colours from dark to bright, of which each stands out from the paper."""
    first, last = (0.0, 0.8) if theme.name == "light" else (0.3, 0.95)
    steps = [first + (last - first) * index / max(1, number - 1) for index in range(number)]
    return [to_hex(mpl.colormaps["plasma"](step)) for step in steps]


def _frame(axes: Axes, row: FieldBox, place: Place, colour: str, theme: Theme) -> None:
    """Draw a box in its colour, on a wider line of the paper's colour that sets it off from any image."""
    corner = (place.x + row.box.left * place.scale, place.y + row.box.top * place.scale)
    sides = (row.box.width * place.scale, row.box.height * place.scale)
    style = "--" if row.field.kind == "global" else "-"
    for line, ink, width in (("-", theme.paper, 3.0), (style, colour, 1.6)):
        axes.add_patch(Rectangle(corner, *sides, fill=False, edgecolor=ink, linewidth=width, linestyle=line))


def _field_box(layer: Layer, image_size: tuple[int, int]) -> FieldBox | None:
    """Return a layer's box; None where its output is no map or its field isn't known."""
    field, shape = layer.receptive_field, layer.output_shape
    if shape is None or len(shape) != 4 or field.kind == "unknown":
        return None
    if field.kind == "local" and (not field.size or len(field.size) != 2 or min(field.size) < 1):
        return None
    return FieldBox(
        layer.name or "the network itself", shape[2:], field, unit_box(field, shape[2:], image_size)
    )


def _same(one: ReceptiveField, other: ReceptiveField) -> bool:
    return one.kind == other.kind and (one.kind == "global" or one.size == other.size)


def _thinned(boxes: list[FieldBox], limit: int) -> list[FieldBox]:
    if len(boxes) <= limit:
        return boxes
    ends = [
        place
        for place, row in enumerate(boxes)
        if place == len(boxes) - 1 or boxes[place + 1].map_size != row.map_size
    ]
    kept = set(ends[-limit:])
    spread = [round(step * (len(boxes) - 1) / (limit - 1)) for step in range(limit)]
    for place in [0, *spread, *range(len(boxes))]:
        if len(kept) == limit:
            break
        kept.add(place)
    return [boxes[place] for place in sorted(kept)]


def _note(boxes: Sequence[FieldBox], size: tuple[int, int]) -> str:
    outside = any(
        row.box.top < -0.5 or row.box.left < -0.5 or row.box.bottom > size[0] or row.box.right > size[1]
        for row in boxes
    )
    note = f"image {size[0]:,} {TIMES} {size[1]:,} px, the unit in the middle of each map"
    return f"{note}; beyond the image lies padding" if outside else note


def _figures(row: FieldBox) -> str:
    several = row.field.kind == "local" and max(row.map_size) > 1
    stride = f", stride {extent(row.field.stride)} px" if several else ""
    return f"{_size_words(row)}{stride}; map {row.map_size[0]:,} {TIMES} {row.map_size[1]:,}"


def _size_words(row: FieldBox) -> str:
    if row.field.kind == "global":
        return "global: the whole image"
    sides = f" {TIMES} ".join(f"{side:,}" for side in row.field.size or ())
    return f"{sides} px" + ("" if row.field.uniform else " (largest)")
