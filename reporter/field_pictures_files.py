"""The pictures of receptive fields as the content of a file, each with its words."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cifar_report.analyzer.errors import UsageError
from cifar_report.reporter import effective_field, field_chart, field_pictures, field_pictures_effective
from cifar_report.reporter import theme as themes
from cifar_report.reporter.field_pictures_geometry import image_of
from cifar_report.reporter.field_pictures_image import pattern, read_image, read_images
from cifar_report.reporter.network import shown_layers
from cifar_report.reporter.theme import Theme

if TYPE_CHECKING:
    from torch import nn

    from cifar_report.analyzer.analysis import Analysis


@dataclass(frozen=True, slots=True)
class PictureFile:
    """A picture to write."""

    content: str | bytes
    """Text of an SVG, bytes of a PNG."""
    words: str
    """What it shows."""


def growth_file(analysis: Analysis, suffix: str, *, dark: bool = False) -> PictureFile:
    """Return how the field grows over the layers, as `.svg` or `.png`.

    Raises:
        UsageError: no layer has a local field.
    """
    layers = shown_layers(analysis)
    if not field_chart.has_fields(layers):
        raise UsageError(f"no layer of {analysis.model} has a local receptive field, so none grows")
    words = field_chart.describe(analysis, layers)
    return _file(lambda theme: field_chart.draw(analysis, layers, theme), suffix, dark, words)


def boxes_file(
    analysis: Analysis, suffix: str, image: Path | None = None, *, dark: bool = False
) -> PictureFile:
    """Return the fields of layers as boxes on a picture, or on a pattern.

    Raises:
        UsageError: the picture can't be read, the input is no image, or there is no field to draw.
    """
    size = image_of(analysis)
    ground = pattern(size) if image is None else read_image(image, size)
    words = field_pictures.describe_boxes(analysis)
    return _file(lambda theme: field_pictures.draw_boxes(analysis, ground, theme), suffix, dark, words)


def effective_file(
    module: nn.Module,
    analysis: Analysis,
    suffix: str,
    image: Path | None = None,
    *,
    count: int = 16,
    dark: bool = False,
) -> PictureFile:
    """Return the effective field, measured on a picture, a folder of pictures or noise.

    Raises:
        UsageError: the pictures can't be read, or the network doesn't take images.
        ModelError: the network has no weights, fails, or its unit doesn't depend on the image.
    """
    images = None if image is None else read_images(image, analysis.input_shape)
    field = effective_field.measure_effective_field(module, analysis, images, count=count)
    words = field_pictures_effective.describe_effective(field)
    return _file(lambda theme: field_pictures_effective.draw_effective(field, theme), suffix, dark, words)


def _file(draw: Callable[[Theme], Figure], suffix: str, dark: bool, words: str) -> PictureFile:
    with tempfile.TemporaryDirectory() as folder, themes.drawing():
        path = Path(folder, f"picture{suffix}")
        themes.save(draw(themes.DARK if dark else themes.LIGHT), path)
        content = path.read_text(encoding="utf-8") if suffix == ".svg" else path.read_bytes()
    return PictureFile(content, words)
