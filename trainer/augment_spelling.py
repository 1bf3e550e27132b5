"""What people write for a transform, and what it means to albumentations 2.0.8.

Pipelines are written as texts, such as `HorizontalFlip(p=0.3)`, in the spelling of the library's first
versions or in today's. The library itself drops arguments that it no longer knows, with a warning; here they
are translated to what they meant, and an argument that means nothing is an error.
"""

from __future__ import annotations

import ast
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.augment_library import load_albumentations

_REFLECT_101 = 4
"""OpenCV's border that the first versions had where nothing else was said; today's is black."""


@dataclass(frozen=True, slots=True)
class Call:
    """A transform with its arguments, as they are written or as they are meant."""

    name: str
    arguments: Mapping[str, Any]
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What the translation changed, for whoever wrote it."""

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


def parse_call(text: str) -> Call:
    """Read a text such as `A.HorizontalFlip(p=0.3)`; nothing in it is run.

    Raises:
        UsageError: it isn't a call with values that are written down.
    """
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError as error:
        raise _unreadable(text, str(error)) from error
    if isinstance(node, ast.Name | ast.Attribute):
        node = ast.Call(node, [], [])
    if not isinstance(node, ast.Call):
        raise _unreadable(text, type(node).__name__)
    name = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
    arguments = {**_positional(name, node.args, text)}
    for keyword in node.keywords:
        if keyword.arg is None:
            raise _unreadable(text, "**")
        arguments[keyword.arg] = _value(keyword.value, text)
    return Call(name, arguments)


def _positional(name: str, nodes: list[ast.expr], text: str) -> dict[str, Any]:
    if not nodes:
        return {}
    known = [*_parameters(name)]
    if len(nodes) > len(known):
        raise _unreadable(text, f"{len(nodes)} values without a name")
    return {parameter: _value(node, text) for parameter, node in zip(known, nodes, strict=False)}


def _value(node: ast.expr, text: str) -> Any:
    """Return a literal's value, or an OpenCV constant's."""
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "cv2":
        import cv2

        if isinstance(found := getattr(cv2, node.attr, None), int):
            return found
    try:
        return ast.literal_eval(node)
    except ValueError as error:
        raise _unreadable(text, ast.unparse(node)) from error


def _unreadable(text: str, found: str) -> UsageError:
    expected = "a transform with values written down, such as HorizontalFlip(p=0.3)"
    return UsageError(f"can't read the transform {text!r}", expected=expected, found=found)


def _parameters(name: str) -> list[str]:
    """Return the names of what a transform of albumentations takes; none for one that it doesn't have."""
    known = getattr(load_albumentations(), name, None)
    return [*inspect.signature(known).parameters] if inspect.isclass(known) else []


def meant(call: Call) -> Call:
    """Return what a call means, in today's spelling.

    Raises:
        UsageError: its arguments contradict each other.
    """
    arguments, notes = dict(call.arguments), list(call.notes)
    if arguments.pop("always_apply", False):
        arguments["p"] = 1.0
        notes.append("always_apply=True is p=1.0")
    name = call.name
    if name in _CLASSIC:
        name, arguments = _CLASSIC[name](arguments, notes)
    known = _parameters(name)
    for old, new in _RENAMED.items():
        if old in arguments and old not in known and new in known:
            arguments[new] = arguments.pop(old)
            notes.append(f"{old} is called {new}")
    if name in _BORDERED and not {"border_mode", "fill"} & arguments.keys():
        arguments["border_mode"] = _reflected(notes)
    if name in ("ToGray", "CoarseDropout", "HorizontalFlip") and "p" not in arguments:
        notes.append("without p it is 0.5")
    for fill in ("fill", "fill_mask"):
        if fill in arguments and _is_share(arguments[fill]):
            arguments[fill] = _levels(arguments[fill])
            notes.append(f"{fill} in 0..1 is {arguments[fill]} on images of bytes")
    return Call(name, arguments, tuple(notes))


Arguments = dict[str, Any]
Translated = tuple[str, Arguments]


def _coarse_dropout(arguments: Arguments, notes: list[str]) -> Translated:
    today = {"num_holes_range": "holes", "hole_height_range": "height", "hole_width_range": "width"}
    for new, what in today.items():
        low, high = arguments.pop(f"min_{what}", None), arguments.pop(f"max_{what}", None)
        if low is None and high is None:
            continue
        # The first versions made at most 8 of everything, and a missing lower bound was the upper one.
        high = 8 if high is None else high
        low = high if low is None else low
        if low > high:
            raise UsageError(
                f"CoarseDropout's min_{what}={low} is above max_{what}={high}",
                expected=f"min_{what} <= max_{what}",
                hint=f"one of both is a slip: max_{what}={low}, or min_{what}={high}",
            )
        arguments[new] = (low, high)
        notes.append(f"min_{what} and max_{what} are called {new}")
    if arguments.get("mask_fill_value", 0) is None:
        del arguments["mask_fill_value"]
    return "CoarseDropout", arguments


def _cutout(arguments: Arguments, notes: list[str]) -> Translated:
    count = arguments.pop("num_holes", 8)
    sizes = {side: arguments.pop(f"max_{side}_size", 8) for side in "hw"}
    notes.append("Cutout is CoarseDropout; its holes no longer reach over the edge")
    ranges = {"num_holes_range": count, "hole_height_range": sizes["h"], "hole_width_range": sizes["w"]}
    return "CoarseDropout", {**{name: (value, value) for name, value in ranges.items()}, **arguments}


def _shift_scale_rotate(arguments: Arguments, notes: list[str]) -> Translated:
    shift = arguments.pop("shift_limit", 0.0625)
    axes = {axis: arguments.pop(f"shift_limit_{axis}", None) for axis in "xy"}
    scale = _around(arguments.pop("scale_limit", 0.1))
    affine: Arguments = {
        "translate_percent": {axis: _around(shift if own is None else own) for axis, own in axes.items()},
        "scale": (1 + scale[0], 1 + scale[1]),
        "rotate": _around(arguments.pop("rotate_limit", 45)),
    }
    notes.append("ShiftScaleRotate is an Affine; a scale of 1 is unchanged")
    if not {"border_mode", "value", "fill"} & arguments.keys():
        affine["border_mode"] = _reflected(notes)
    return "Affine", {**affine, **arguments}


def _gauss_noise(arguments: Arguments, notes: list[str]) -> Translated:
    if "var_limit" in arguments:
        limit = arguments.pop("var_limit")
        low, high = limit if isinstance(limit, tuple | list) else (0, limit)
        arguments["std_range"] = (math.sqrt(low) / 255, math.sqrt(high) / 255)
        notes.append("var_limit, a variance of levels, is std_range, a deviation of shares of 255")
    return "GaussNoise", arguments


def _random_resized_crop(arguments: Arguments, notes: list[str]) -> Translated:
    if {"height", "width"} <= arguments.keys():
        arguments["size"] = (arguments.pop("height"), arguments.pop("width"))
        notes.append("height and width are called size")
    return "RandomResizedCrop", arguments


def _compression(arguments: Arguments, notes: list[str]) -> Translated:
    if {"quality_lower", "quality_upper"} & arguments.keys():
        bounds = arguments.pop("quality_lower", 80), arguments.pop("quality_upper", 100)
        arguments["quality_range"] = bounds
        notes.append("quality_lower and quality_upper are called quality_range")
    return "ImageCompression", arguments


def _one_of_two(which: str, other: str) -> Callable[[Arguments, list[str]], Translated]:
    def translated(arguments: Arguments, notes: list[str]) -> Translated:
        limit = arguments.pop("limit", 0.2)
        notes.append("it is RandomBrightnessContrast")
        return "RandomBrightnessContrast", {f"{which}_limit": limit, f"{other}_limit": 0, **arguments}

    return translated


_CLASSIC: dict[str, Callable[[Arguments, list[str]], Translated]] = {
    "CoarseDropout": _coarse_dropout,
    "Cutout": _cutout,
    "GaussNoise": _gauss_noise,
    "ImageCompression": _compression,
    "JpegCompression": _compression,
    "RandomBrightness": _one_of_two("brightness", "contrast"),
    "RandomContrast": _one_of_two("contrast", "brightness"),
    "RandomResizedCrop": _random_resized_crop,
    "ShiftScaleRotate": _shift_scale_rotate,
}

_RENAMED = {
    "fill_value": "fill",
    "mask_fill_value": "fill_mask",
    "value": "fill",
    "mask_value": "fill_mask",
    "cval": "fill",
    "cval_mask": "fill_mask",
    "mode": "border_mode",
}

_BORDERED = ("PadIfNeeded", "Rotate", "SafeRotate")
"""What reflected at the border in the first versions, besides ShiftScaleRotate."""


def _reflected(notes: list[str]) -> int:
    notes.append("without border_mode it reflected at the border; albumentations 2 would fill it black")
    return _REFLECT_101


def _around(limit: Any) -> tuple[float, float]:
    low, high = limit if isinstance(limit, tuple | list) else (-limit, limit)
    return low, high


def _is_share(fill: Any) -> bool:
    """Return whether a fill is meant in 0..1: fractions are; 0 and 1 alone are levels."""
    levels = fill if isinstance(fill, tuple | list) else [fill]
    numbers = [level for level in levels if isinstance(level, int | float)]
    return any(0 < level < 1 for level in numbers) and all(0 <= level <= 1 for level in numbers)


def _levels(fill: Any) -> Any:
    return tuple(map(_levels, fill)) if isinstance(fill, tuple | list) else round(255 * fill)
