"""Whether a pipeline has a transform, by the parameters in force and not by how they were spelt.

A pipeline comes as `augmentation.json` lists it: a name and albumentations' own parameters each. What
people write is shorter: `CoarseDropout(holes=1, height=16, width=16)`, `ShiftScaleRotate(rotate=30)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from cifar_report.analyzer.errors import did_you_mean

_NAMES = """
    AdditiveNoise AdvancedBlur Affine AtLeastOneBBoxRandomCrop AutoContrast BBoxSafeRandomCrop Blur CLAHE
    CenterCrop CenterCrop3D ChannelDropout ChannelShuffle ChromaticAberration CoarseDropout CoarseDropout3D
    ColorJitter ConstrainedCoarseDropout Crop CropAndPad CropNonEmptyMaskIfExists CubicSymmetry D4 Defocus
    Downscale ElasticTransform Emboss Equalize Erasing FDA FancyPCA FrequencyMasking FromFloat GaussNoise
    GaussianBlur GlassBlur GridDistortion GridDropout GridElasticDeform HEStain HistogramMatching
    HorizontalFlip HueSaturationValue ISONoise Illumination ImageCompression InvertImg Lambda LongestMaxSize
    MaskDropout MedianBlur Morphological Mosaic MotionBlur MultiplicativeNoise NoOp Normalize
    OpticalDistortion OverlayElements Pad Pad3D PadIfNeeded PadIfNeeded3D Perspective PiecewiseAffine
    PixelDistributionAdaptation PixelDropout PlanckianJitter PlasmaBrightnessContrast PlasmaShadow Posterize
    RGBShift RandomBrightnessContrast RandomCrop RandomCrop3D RandomCropFromBorders RandomCropNearBBox
    RandomFog RandomGamma RandomGravel RandomGridShuffle RandomRain RandomResizedCrop RandomRotate90
    RandomScale RandomShadow RandomSizedBBoxSafeCrop RandomSizedCrop RandomSnow RandomSunFlare
    RandomToneCurve Resize RingingOvershoot Rotate SafeRotate SaltAndPepper Sharpen ShiftScaleRotate
    ShotNoise SmallestMaxSize Solarize Spatter SquareSymmetry Superpixels TextImage ThinPlateSpline
    TimeMasking TimeReverse ToFloat ToGray ToRGB ToSepia ToTensor3D ToTensorV2 Transpose UnsharpMask
    VerticalFlip XYMasking ZoomBlur
"""

TRANSFORMS = tuple(_NAMES.split())
"""The transforms of albumentations 2.0, for whoever misspells one; it is no longer developed."""

_SHORT = {
    "CoarseDropout": {
        "holes": "num_holes_range",
        "height": "hole_height_range",
        "width": "hole_width_range",
    },
    "Affine": {"shift": "translate_percent"},
}
"""Short names of parameters."""

_OLD = {"shift_limit": "shift", "scale_limit": "scale", "rotate_limit": "rotate"}
"""ShiftScaleRotate's own spelling."""

_MOVES = {"translate_percent": 0.0, "scale": 1.0, "rotate": 0.0}
"""What Affine does as a ShiftScaleRotate, each with the value at which it does nothing."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A transform that a pipeline should have."""

    name: str
    parameters: tuple[tuple[str, Any], ...] = ()

    def __str__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.parameters)
        return f"{self.name}({arguments})" if arguments else self.name


@dataclass(frozen=True, slots=True)
class Held:
    """How a pipeline stands against a wanted transform."""

    met: bool | None
    """None where a parameter's name means nothing to the transform."""
    measured: str
    evidence: str


def held(wanted: Wanted, pipeline: Sequence[Mapping[str, Any]]) -> Held:
    """Hold a pipeline's transforms, `{"name": ..., "parameters": {...}}` each, against a wanted one."""
    names = [row["name"] for row in pipeline]
    candidates = [row["parameters"] for row in pipeline if _is(wanted.name, row)]
    if not candidates:
        near = get_close_matches(wanted.name, names, n=1)
        found = f"the pipeline is {', '.join(names)}" if names else "images went in as they are"
        hint = f"; {did_you_mean(near)}" if near else ""
        return Held(False, "none", f"no {wanted.name}: {found}{hint}")
    answers = [_compared(wanted, parameters) for parameters in candidates]
    return next((answer for answer in answers if answer.met), answers[0])


def _is(name: str, row: Mapping[str, Any]) -> bool:
    """Return whether a transform is one of that name; Affine may do what ShiftScaleRotate does."""
    if name == "ShiftScaleRotate" and row["name"] == "Affine":
        found = {key: row["parameters"].get(key) for key in _MOVES}
        return all(found[key] is not None and not _same(still, found[key]) for key, still in _MOVES.items())
    return bool(row["name"] == name)


def _compared(wanted: Wanted, parameters: Mapping[str, Any]) -> Held:
    shifts = wanted.name == "ShiftScaleRotate"
    short = _SHORT.get("Affine" if shifts else wanted.name, {})
    found, wrong = [], []
    for spelt, value in wanted.parameters:
        name = _OLD.get(spelt, spelt) if shifts else spelt
        key = short.get(name, name)
        if key not in parameters:
            return _unknown(wanted, spelt, [*short, *parameters])
        found.append(f"{spelt}={_spelt(parameters[key])}")
        centre = 1.0 if shifts and name == "scale" else 0.0
        if not _matches(value, parameters[key], centre):
            wrong.append(found[-1])
    measured = f"{wanted.name}({', '.join(found)})" if found else wanted.name
    if wrong:
        return Held(False, measured, f"in force is {', '.join(wrong)}")
    return Held(True, measured, "parameters in force")


def _unknown(wanted: Wanted, spelt: str, known: Sequence[str]) -> Held:
    near = get_close_matches(spelt, known, n=2, cutoff=0.4)
    hint = did_you_mean(near, f"it has {', '.join(known)}")
    return Held(None, "", f"{wanted.name} has no parameter {spelt!r}; {hint}")


def _matches(value: Any, held: Any, centre: float) -> bool:
    """Return whether a parameter has a value, or is the range of that size around the centre."""
    if _same(value, held):
        return True
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _same((centre - value, centre + value), held)
    return False


def _same(value: Any, held: Any) -> bool:
    """Return whether a value is held by itself, as a range of nothing else, or on every axis."""
    if isinstance(held, Mapping):
        return bool(held) and all(_same(value, axis) for axis in held.values())
    if isinstance(held, list | tuple):
        row = value if isinstance(value, list | tuple) else [value] * len(held)
        return len(row) == len(held) and all(_same(*pair) for pair in zip(row, held, strict=True))
    if isinstance(value, float) and isinstance(held, float):
        return abs(value - held) < 1e-9
    return bool(value == held)


def _spelt(held: Any) -> str:
    """Return a value as short as it goes: 16 for the range from 16 to 16."""
    if isinstance(held, Mapping) and held:
        axes = list(held.values())
        return _spelt(axes[0]) if all(axis == axes[0] for axis in axes) else str(dict(held))
    if isinstance(held, list | tuple) and held:
        if all(item == held[0] for item in held):
            return _spelt(held[0])
        return f"({', '.join(map(_spelt, held))})"
    return f"{held:g}" if isinstance(held, float) else repr(held)
