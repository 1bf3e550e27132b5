"""What the HTML page has beyond the other formats: a picture to point at, and a script that may run."""

from __future__ import annotations

import base64
import hashlib
import io
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from cifar_report.analyzer.errors import UsageError
from cifar_report.reporter.field_pictures_geometry import Box, drawable, image_of, surroundings, unit_box
from cifar_report.reporter.field_pictures_image import colours, pattern
from cifar_report.reporter.network import shown_layers

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Layer
    from cifar_report.reporter.facts import Facts


@dataclass(frozen=True, slots=True)
class Spot:
    """Where the middle unit of a layer's map looks, as attributes of an SVG rectangle [px]."""

    x: str
    y: str
    width: str
    height: str
    kind: str
    """`local`, `global`, `large` for a field that leaves no room for the image, or `unknown`."""


@dataclass(frozen=True, slots=True)
class Pane:
    """An image of the input's size with room around it for the fields that reach beyond its border."""

    image: str
    """A data address."""
    height: int
    width: int
    view: str
    """The SVG's viewBox; the first pixel's centre is 0."""
    spots: tuple[Spot, ...]
    """One for every row of the layer table, in its order."""


def pane(facts: Facts) -> Pane | None:
    """Return the picture that layers point at; None where the input is no image."""
    analysis = facts.run.analysis
    try:
        size = image_of(analysis)
    except UsageError:
        return None
    layers = shown_layers(analysis)
    boxes = [_box(layer, size) for layer in layers]
    top, left, height, width = surroundings([box for box in boxes if box and drawable(box, size)], size)
    return Pane(
        image=_image(facts, size),
        height=size[0],
        width=size[1],
        view=f"{left:.7g} {top:.7g} {width:.7g} {height:.7g}",
        spots=tuple(_spot(layer, box, size) for layer, box in zip(layers, boxes, strict=True)),
    )


class Embedding:
    """Pictures as data addresses, encoded in threads while the next ones are drawn."""

    def __init__(self, folder: Path, threads: Executor) -> None:
        self._folder, self._threads = folder, threads
        self._addresses: dict[Path, Future[str]] = {}

    def begin(self, path: Path) -> None:
        """Begin with a picture's file, beneath the folder."""
        self._addresses[path] = self._threads.submit(embedded, self._folder / path)

    def __call__(self, path: Path) -> str:
        """Return the address of a picture that was begun with."""
        return self._addresses[path].result()


def embedded(path: Path) -> str:
    """Return a picture's file as a data address; PNG becomes WebP without loss, at 60 % of the size."""
    if path.suffix == ".svg":
        return _address("image/svg+xml", path.read_bytes())
    with Image.open(path) as picture:
        return _webp(picture)


def _webp(picture: Image.Image) -> str:
    stream = io.BytesIO()
    # More effort (quality 50, method 3) makes pages 9 % smaller and takes twice as long.
    picture.convert("RGB").save(stream, "WEBP", lossless=True, quality=20, method=1)
    return _address("image/webp", stream.getvalue())


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def policy(script: str) -> str:
    """Return a content security policy that fetches nothing and runs this one script alone."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}';"
        " base-uri 'none'; form-action 'none'"
    )


def _box(layer: Layer, size: tuple[int, int]) -> Box | None:
    """Return what the middle unit sees; a vector's only unit sees what the map before it does."""
    field, shape = layer.receptive_field, layer.output_shape
    if shape is None or field.kind == "unknown":
        return None
    if field.kind == "local" and (not field.size or len(field.size) != 2 or min(field.size) < 1):
        return None
    return unit_box(field, shape[2:] if len(shape) == 4 else (1, 1), size)


def _spot(layer: Layer, box: Box | None, size: tuple[int, int]) -> Spot:
    if box is None:
        return Spot("0", "0", "0", "0", "unknown")
    kind = layer.receptive_field.kind if drawable(box, size) else "large"
    x, y, width, height = (f"{value:.7g}" for value in (box.left, box.top, box.width, box.height))
    return Spot(x, y, width, height, kind)


def _image(facts: Facts, size: tuple[int, int]) -> str:
    samples = facts.samples
    pixels = samples.images[0] if samples is not None and len(samples.images) else pattern(size)
    return _webp(Image.fromarray(colours(pixels)))
