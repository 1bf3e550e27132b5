"""Which part of an image a unit sees, in pixels: the geometry behind the pictures of fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cifar_report.analyzer.analysis import Analysis, ReceptiveField
from cifar_report.analyzer.errors import UsageError

WIDEST = 4
"""Of what is drawn, in images: fields that are larger would leave nothing of the image to see."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle on the image [px]; the first pixel reaches from -0.5 to 0.5."""

    top: float
    left: float
    height: float
    width: float

    @property
    def bottom(self) -> float:
        """Lower edge."""
        return self.top + self.height

    @property
    def right(self) -> float:
        """Right edge."""
        return self.left + self.width


def unit_box(field: ReceptiveField, map_size: Sequence[int], image_size: Sequence[int]) -> Box:
    """Return the box of the unit of a map whose field's centre is nearest to the image's centre."""
    if field.kind == "global" or not (field.size and field.stride and field.start):
        return Box(-0.5, -0.5, image_size[0], image_size[1])
    edges = []
    for axis, pixels in enumerate(image_size):
        unit = nearest_unit(field, map_size[axis], axis, pixels)
        centre = field.start[axis] + unit * field.stride[axis]
        edges.append(centre - field.size[axis] / 2)
    return Box(edges[0], edges[1], field.size[0], field.size[1])


def nearest_unit(field: ReceptiveField, units: int, axis: int, pixels: int) -> int:
    """Return which unit along an axis has its field's centre nearest to the image's."""
    if field.kind != "local" or not (field.start and field.stride):
        return units // 2
    start, stride = field.start[axis], field.stride[axis]
    middle = (pixels - 1) / 2
    return min(range(units), key=lambda unit: (abs(start + unit * stride - middle), abs(unit - units // 2)))


def image_of(analysis: Analysis) -> tuple[int, int]:
    """Return height and width of the image that the fields refer to.

    Raises:
        UsageError: it has another number of axes.
    """
    shape = analysis.input_shape
    if analysis.inputs and analysis.field_input < len(analysis.inputs):
        shape = analysis.inputs[analysis.field_input].shape
    if len(shape) != 3:
        raise UsageError(
            f"{analysis.model} has an input of shape {shape}, which is no image",
            expected="channels, height and width: fields are drawn on images of two axes",
        )
    return shape[1], shape[2]


def drawable(box: Box, image_size: tuple[int, int]) -> bool:
    """Tell whether a box is small enough to be drawn around an image (height, width)."""
    return box.height <= WIDEST * image_size[0] and box.width <= WIDEST * image_size[1]


def surroundings(boxes: Sequence[Box], image_size: tuple[int, int]) -> tuple[float, float, float, float]:
    """Return top, left, height and width of what has to be on the picture."""
    top = min([-0.5, *(box.top for box in boxes)])
    left = min([-0.5, *(box.left for box in boxes)])
    bottom = max([image_size[0] - 0.5, *(box.bottom for box in boxes)])
    right = max([image_size[1] - 0.5, *(box.right for box in boxes)])
    rim = 0.02 * max(bottom - top, right - left)
    return top - rim, left - rim, bottom - top + 2 * rim, right - left + 2 * rim
