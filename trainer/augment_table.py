"""What a pipeline does to images, transform by transform, for whoever wrote it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from cifar_report.trainer.augment import Pipeline, describe
from cifar_report.trainer.records import DataFacts
from cifar_report.trainer.twins import make_twin
from cifar_report.trainer.twins_rules import NoTwin

_CONSTANTS = {
    "border_mode": [f"BORDER_{name}" for name in ("CONSTANT", "REPLICATE", "REFLECT", "WRAP", "REFLECT_101")],
    "interpolation": [f"INTER_{name}" for name in ("NEAREST", "LINEAR", "CUBIC", "AREA", "LANCZOS4")],
}
"""OpenCV's names of the numbers that albumentations holds, from 0."""

_OF_MASKS = ("fill_mask", "mask_interpolation")
"""Parameters that images have nothing of."""


@dataclass(frozen=True, slots=True)
class Row:
    """One transform."""

    written: str
    """As it was spelt; empty for one that was Python already, and for a Normalize that was added."""
    name: str
    """Of the transform in albumentations 2."""
    parameters: Mapping[str, Any]
    """All those in force; empty for one that is left out."""
    changes: tuple[str, ...] = ()
    """What the translation from the spelling to the parameters changed."""
    left_out: str = ""
    """Why it isn't done to these images; empty where it is."""
    twin: bool = True
    """Whether batched torch operations do the same."""
    no_twin: str = ""
    """Why there is none."""

    def __str__(self) -> str:
        """Return the call in today's spelling, OpenCV's constants by name."""
        shown = {name: value for name, value in self.parameters.items() if name not in _OF_MASKS}
        return f"{self.name}({', '.join(f'{name}={_text(name, value)}' for name, value in shown.items())})"

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return asdict(self)


def tabulate(pipeline: Pipeline, data: DataFacts) -> tuple[Row, ...]:
    """Return a row for each transform in order, those that are left out among them."""
    in_force = _in_force(pipeline, data)
    rows = []
    for spelt in pipeline.spelt:
        if spelt.left_out:
            rows.append(Row(spelt.text, spelt.call.name, {}, spelt.call.notes, spelt.left_out, twin=False))
            continue
        row = next(in_force)
        rows.append(Row(spelt.text, row.name, row.parameters, spelt.call.notes, "", row.twin, row.no_twin))
    return (*rows, *in_force)


def _in_force(pipeline: Pipeline, data: DataFacts) -> Iterator[Row]:
    """Yield the transforms of the Compose, and whether each has a twin for images as they reach it."""
    channels, height, width = data.image_shape
    image = np.zeros((height, width, channels), dtype=np.uint8)
    *augmentations, _ = pipeline.compose.transforms
    *described, normalize = describe(pipeline.compose).transforms
    for transform, record in zip(augmentations, described, strict=True):
        rows, columns, depth = image.shape
        try:
            make_twin(transform, (depth, rows, columns))
            why = ""
        except NoTwin as reason:
            why = str(reason)
        yield Row("", record.name, _arguments(transform, record.parameters), twin=not why, no_twin=why)
        image = transform(image=image)["image"]
    yield Row("", normalize.name, normalize.parameters)


def _arguments(transform: Any, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters that can be given; albumentations lists others too."""
    known = inspect.signature(type(transform)).parameters
    return {name: value for name, value in parameters.items() if name in known}


def _text(name: str, value: Any) -> str:
    """Return a parameter's value as it is written in Python, numbers with four digits."""
    constants = _CONSTANTS.get(name, ())
    if constants and isinstance(value, int) and value < len(constants):
        return f"cv2.{constants[value]}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping) and "__class_fullname__" in value:
        inner = {key: item for key, item in value.items() if key != "__class_fullname__"}
        return str(Row("", value["__class_fullname__"], inner))
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_text('', item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        items = ", ".join(_text("", item) for item in value)
        return f"[{items}]" if isinstance(value, list) else f"({items}{',' if len(value) == 1 else ''})"
    return repr(value)
