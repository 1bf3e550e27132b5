"""What a data set must be before it trains anything: complete, and tested on images it isn't trained on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.images import ImageData, Pixels, Split, per_class

NEAR = 5.0
"""Images are nearly the same where they differ by this much or less [levels of 255, root mean square]."""

_NAMED = 5
"""How many shared images an error names."""

_COUNTS = {"cifar10": (50_000, 10_000, 10), "mnist": (60_000, 10_000, 10)}
"""Training images, test images and classes of the data sets that are called so."""

_BLOCK = 4
"""Side of the blocks whose means are compared first [px]."""
_ROWS = 256
"""Test images compared at once: what they take with 50,000 others is 50 MB."""


@dataclass(frozen=True, slots=True)
class Pair:
    """A test image and the training image that is nearly the same, by their indices."""

    test: int
    train: int
    difference: float
    """Root mean square over pixels and channels [levels of 255]."""


def check(data: ImageData, *, original: bool = False) -> ImageData:
    """Return the data set if it can be trained and tested on honestly.

    Args:
        data: both splits.
        original: it came by the name of a data set, so its counts are known.

    Raises:
        UsageError: wrong counts, shapes or labels, a class without images, or a test image that is also
            a training image.
    """
    for which, split in (("train", data.train), ("test", data.test)):
        _check_split(data, which, split)
    shapes = data.train.images.shape[1:], data.test.images.shape[1:]
    if shapes[0] != shapes[1]:
        raise UsageError(
            f"{data.name}: test images have another shape", expected=f"{shapes[0]}", found=f"{shapes[1]}"
        )
    counts = len(data.train.labels), len(data.test.labels), len(data.classes)
    if original and counts != _COUNTS[data.name]:
        raise UsageError(
            f"{data.name} is not complete",
            expected="{:,} training images, {:,} test images, {} classes".format(*_COUNTS[data.name]),
            found="{:,}, {:,}, {}".format(*counts),
            hint="download it again, or give a subset as a folder of your own",
        )
    _refuse_shared(data)
    return data


def _check_split(data: ImageData, which: str, split: Split) -> None:
    if len(split.images) != len(split.labels):
        found = f"{len(split.images):,} images and {len(split.labels):,} labels"
        raise UsageError(f"{data.name}: the {which} split has {found}", expected="as many labels as images")
    beyond = np.flatnonzero((split.labels < 0) | (split.labels >= len(data.classes)))
    if len(beyond):
        first = int(beyond[0])
        raise UsageError(
            f"{data.name}: {len(beyond)} {which} labels are no class",
            expected=f"0 to {len(data.classes) - 1}",
            found=f"{split.labels[first]} for {split.name(first)}",
        )
    counts = per_class(split, len(data.classes))
    empty = [name for name, count in zip(data.classes, counts, strict=True) if not count]
    if empty:
        raise UsageError(
            f"{data.name}: no {which} image of class {', '.join(empty)}",
            expected="at least one image of every class in both splits",
            found=", ".join(f"{n} {c}" for n, c in zip(data.classes, counts, strict=True)),
        )


def _refuse_shared(data: ImageData) -> None:
    """Raise where both splits hold an image with exactly the same pixels."""
    training = {_digest(image): index for index, image in enumerate(data.train.images)}
    shared = [
        (training[digest], index)
        for index, image in enumerate(data.test.images)
        if (digest := _digest(image)) in training
    ]
    if shared:
        pairs = [f"test {data.test.name(b)} = train {data.train.name(a)}" for a, b in shared[:_NAMED]]
        more = f" and {len(shared) - _NAMED} more" if len(shared) > _NAMED else ""
        raise UsageError(
            f"{data.name}: {len(shared)} of {len(data.test.labels):,} test images are training images too",
            expected="no image in both splits: accuracy on images seen in training is no test",
            found="; ".join(pairs) + more,
            hint="remove these from one of the splits",
        )


def _digest(image: Pixels) -> bytes:
    return hashlib.blake2b(image.tobytes(), digest_size=16).digest()


def near_duplicates(data: ImageData) -> tuple[Pair, ...]:
    """Return, for each test image that nearly is a training image, the nearest one.

    Means over blocks differ by no more than the pixels do, so comparing these first misses nothing.
    """
    train, test = (_block_means(split.images) for split in (data.train, data.test))
    lengths = (train**2).sum(axis=1)
    pixels, side = data.train.images[0].size, _block(data.train.images)
    limit = NEAR**2 * pixels / side**2
    # Rounding of float32 sums, generously: what comes through is compared pixel by pixel.
    limit += 1e-4 * float(lengths.max())
    pairs = []
    for first in range(0, len(test), _ROWS):
        rows = test[first : first + _ROWS]
        gaps = lengths - 2 * (rows @ train.T)
        gaps += (rows**2).sum(axis=1)[:, None]
        which, candidates = np.nonzero(gaps <= limit)
        pairs += _nearest(data, which + first, candidates)
    return tuple(pairs)


def _block_means(images: Pixels) -> NDArray[np.float32]:
    """Return the means over blocks as rows (N, blocks * C), about the middle level."""
    count, height, width, channels = images.shape
    side = _block(images)
    tall, wide = height // side, width // side
    means = np.empty((count, tall * wide * channels), dtype=np.float32)
    for first in range(0, count, _ROWS):
        few = images[first : first + _ROWS, : tall * side, : wide * side]
        blocks = few.reshape(len(few), tall, side, wide, side, channels)
        means[first : first + _ROWS] = blocks.mean(axis=(2, 4), dtype=np.float32).reshape(len(few), -1) - 128
    return means


def _block(images: Pixels) -> int:
    """Return the side of a block [px]."""
    return _BLOCK if min(images.shape[1:3]) >= _BLOCK else 1


def _nearest(data: ImageData, tests: NDArray[np.int64], trains: NDArray[np.int64]) -> list[Pair]:
    best: dict[int, Pair] = {}
    for first in range(0, len(tests), 2 * _ROWS):
        few = slice(first, first + 2 * _ROWS)
        gaps = data.test.images[tests[few]].astype(np.float32) - data.train.images[trains[few]]
        differences = np.sqrt((gaps**2).mean(axis=(1, 2, 3)))
        for test, train, difference in zip(tests[few], trains[few], differences, strict=True):
            known = best.get(int(test))
            if difference <= NEAR and (known is None or difference < known.difference):
                best[int(test)] = Pair(int(test), int(train), float(difference))
    return [best[test] for test in sorted(best)]


def near_note(data: ImageData, pairs: tuple[Pair, ...]) -> str:
    """Return a sentence on nearly shared images, with the first of them; empty where there are none."""
    if not pairs:
        return ""
    named = [
        f"test {data.test.name(pair.test)} ~ train {data.train.name(pair.train)}" for pair in pairs[:_NAMED]
    ]
    more = f" and {len(pairs) - _NAMED} more" if len(pairs) > _NAMED else ""
    return (
        f"{len(pairs):,} of {len(data.test.labels):,} test images nearly are training images "
        f"(at most {NEAR:g} levels apart): {'; '.join(named)}{more}"
    )
