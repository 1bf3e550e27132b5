"""The augmentation of a run: one `A.Compose`, in which alone probabilities and ranges live.

Its last transform is a Normalize. Both back ends leave that one to the network's side: normalising a batch at
once is the same arithmetic, and until then images are bytes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.augment_library import build, load_albumentations
from cifar_report.trainer.augment_spelling import Call, meant, parse_call
from cifar_report.trainer.images import Labels, Pixels
from cifar_report.trainer.records import Augmentation, DataFacts, Transform

ASSIGNMENT = (
    "HorizontalFlip(p=0.3)",
    "ShiftScaleRotate(shift_limit=0.1, scale_limit=0.1, rotate_limit=30, p=0.5)",
    "CoarseDropout(max_holes=1, max_height=16, max_width=16, p=0.5)",
    "ToGray(p=0.1)",
)
"""What is done where nobody says anything: the EVA6 assignment's. Holes have the data's mean."""

_MIRRORS = ("HorizontalFlip", "VerticalFlip", "Transpose", "D4", "SquareSymmetry", "RandomRotate90")
"""What makes another sign of a sign."""

_OTHER_SIGNS = "mirrored or turned, these are other signs"

_TENSORS = ("ToTensorV2", "ToTensor")
"""What has nothing left to do here."""


@dataclass(frozen=True, slots=True)
class Spelt:
    """A transform as it was written and as it is meant."""

    text: str
    call: Call
    left_out: str = ""
    """Why it isn't done to images of this data set; empty where it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Pipeline:
    """An augmentation with where it comes from."""

    compose: Any
    """The `A.Compose`; its last transform is a Normalize."""
    spelt: tuple[Spelt, ...] = ()
    """How its transforms were written; empty for one that is Python already."""
    notes: tuple[str, ...] = ()
    """What the user should know about it."""


def pipeline_of_texts(texts: Sequence[str], data: DataFacts, *, mirror: bool = True) -> Pipeline:
    """Return the pipeline that texts describe, one transform each, for images of a data set.

    Args:
        texts: in the spelling of today or of the first versions. Holes without a fill get the data's mean.
        data: its mean fills the holes; its mean and deviation normalise, unless the texts do.
        mirror: False leaves out what mirrors and turns, for signs that become others.

    Raises:
        UsageError: a text can't be read, or albumentations would refuse or ignore a part of it.
    """
    spelt = tuple(_spelt(text, data, mirror) for text in texts)
    made = [(row, build(row.call.name, row.call.arguments)) for row in spelt if row.call.name not in _TENSORS]
    compose = load_albumentations().Compose([transform for row, transform in made if not row.left_out])
    signs = [row.call.name for row in spelt if row.left_out == _OTHER_SIGNS]
    notes = [f"{data.name}: without {', '.join(signs)}, which makes other signs of these"] if signs else []
    return Pipeline(finished(compose, data), spelt, tuple(notes))


def _spelt(text: str, data: DataFacts, mirror: bool) -> Spelt:
    call = _filled(meant(parse_call(text)), data)
    reasons = {
        _OTHER_SIGNS: not mirror and call.name in _MIRRORS,
        "the images are gray already": call.name == "ToGray" and data.image_shape[0] == 1,
        "tensors are made in any case": call.name in _TENSORS,
    }
    return Spelt(text, call, next((reason for reason, holds in reasons.items() if holds), ""))


def assignment_pipeline(data: DataFacts, *, mirror: bool) -> Any:
    """Return the `A.Compose` of `ASSIGNMENT` for images of a data set."""
    return pipeline_of_texts(ASSIGNMENT, data, mirror=mirror).compose


def _filled(call: Call, data: DataFacts) -> Call:
    if call.name != "CoarseDropout" or "fill" in call.arguments:
        return call
    mean = tuple(round(255 * level) for level in data.mean)
    note = f"without a fill, holes have the data's mean, {mean}"
    return Call(call.name, {**call.arguments, "fill": mean}, (*call.notes, note))


def finished(compose: Any, data: DataFacts) -> Any:
    """Return a Compose that ends in a Normalize, the data's own if there is none, and makes no tensors.

    Raises:
        UsageError: something follows Normalize, the shape changes, or the whole is skipped at times.
    """
    A = load_albumentations()  # noqa: N806 - the name that albumentations' users know it by
    parts = [part for part in compose.transforms if type(part).__name__ not in _TENSORS]
    if compose.p != 1:
        raise UsageError(
            "the pipeline as a whole has a probability", expected="p=1", found=f"p={compose.p:g}"
        )
    places = [place for place, part in enumerate(parts) if isinstance(part, A.Normalize)]
    if not places:
        parts.append(A.Normalize(mean=data.mean, std=data.std))
    elif places != [len(parts) - 1]:
        after = ", ".join(type(part).__name__ for part in parts[places[0] + 1 :])
        raise UsageError(
            f"{after} works on normalised values",
            expected="one Normalize, as the last transform",
            hint=f"put {after} before Normalize, with fills in 0..255",
        )
    whole = A.Compose(parts)
    normalisation(whole)
    _try_out(whole, data)
    return whole


def normalisation(compose: Any) -> tuple[list[float], list[float]]:
    """Return the mean and the deviation that a pipeline ends with, per channel, in 0..1.

    Raises:
        UsageError: its Normalize does something else, which the network's side could not do for it.
    """
    last = compose.transforms[-1]
    found = {"p": last.p, "normalization": last.normalization, "max_pixel_value": last.max_pixel_value}
    expected = {"p": 1, "normalization": "standard", "max_pixel_value": 255}
    if found != expected:
        other = {name: value for name, value in found.items() if value != expected[name]}
        raise UsageError(
            "Normalize has to give training and test images the same mean and deviation",
            expected=", ".join(f"{name}={expected[name]!r}" for name in other),
            found=", ".join(f"{name}={value!r}" for name, value in other.items()),
        )
    mean, std = (np.ravel(value).astype(float).tolist() for value in (last.mean, last.std))
    return mean, std


def _try_out(compose: Any, data: DataFacts) -> None:
    """Raise unless images come out in the shape that they have when the network is tested."""
    channels, height, width = data.image_shape
    image = np.zeros((1, height, width, channels), dtype=np.uint8)
    try:
        found = Augmenter(compose)(image, np.zeros(1, dtype=np.int64), (0,)).shape[1:]
    # The transforms are the user's choice, and each fails in its own way on images that it can't take.
    except Exception as error:
        raise UsageError("the augmentation fails on an image of the data", found=str(error)) from error
    if found != image.shape[1:]:
        size = "x".join(map(str, found[:2]))
        raise UsageError(
            f"the augmentation makes images of {size}",
            expected=f"{height}x{width} as they are tested, with {channels} channels",
            hint="end with a RandomCrop or a Resize to the images' size",
        )


def describe(pipeline: Any) -> Augmentation:
    """Return a Compose as albumentations holds it."""
    record = load_albumentations().to_dict(pipeline)
    rows = [dict(row) for row in record["transform"]["transforms"]]
    return Augmentation(
        library=f"albumentations {version('albumentations')}",
        transforms=tuple(Transform(name=row.pop("__class_fullname__"), parameters=row) for row in rows),
        pipeline=record,
    )


class Augmenter:
    """Runs a pipeline up to, not including, its final Normalize, on uint8 images.

    Normalising a whole batch at once later is the same arithmetic, and bytes are a quarter of the
    floats to pass between processes.
    """

    def __init__(self, pipeline: Any) -> None:
        A = load_albumentations()  # noqa: N806 - the name everybody gives it
        *augmentations, last = pipeline.transforms
        if not isinstance(last, A.Normalize):
            raise ValueError(f"the pipeline ends in {type(last).__name__}, not in Normalize")
        self._compose = A.Compose(augmentations)

    def __call__(self, images: Pixels, indices: Labels, key: tuple[int, ...]) -> Pixels:
        """Return augmented copies of `images` (B, H, W, C), which have these indices in the data set.

        What happens to an image depends on the key (seed, epoch, ...) and its index, on nothing else: not on
        the batch, nor on the process that it is made in.

        All transforms draw from one stream. Left to itself, or given a seed by `set_random_seed`,
        albumentations gives each transform a stream of its own from one and the same seed: their
        draws agree, and ToGray (p=0.1) then only ever hits images that HorizontalFlip (p=0.3) hit.
        """
        numbers = np.random.Philox(np.random.SeedSequence(key))
        start = numbers.state
        first, second = map(int, start["state"]["key"])
        words = random.Random()
        self._compose.set_random_state(np.random.Generator(numbers), words)
        augmented = []
        for image, index in zip(images, indices.tolist(), strict=True):
            # A counter of 256 bits, of which no image uses up 64.
            start["state"]["counter"][1] = index
            numbers.state = start
            words.seed((first << 128) | (second << 64) | index)
            augmented.append(self._compose(image=image)["image"])
        return np.stack(augmented)
