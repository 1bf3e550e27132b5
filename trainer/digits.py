"""scikit-learn's 1,797 handwritten digits: a data set that needs no download."""

from __future__ import annotations

import numpy as np

from cifar_report.trainer.extras import load_extra
from cifar_report.trainer.images import SIDE, ImageData, Labels, Pixels, Split


def load_digits() -> ImageData:
    """Return the digits as 32x32 RGB, a fifth of each class as test images, always the same ones.

    Raises:
        UsageError: scikit-learn is not installed.
    """
    bunch = load_extra("sklearn.datasets", "digits").load_digits()
    images = _enlarge(bunch.images)
    labels: Labels = bunch.target.astype(np.int64)
    test = _every_fifth(labels)
    return ImageData(
        name="digits",
        classes=tuple(str(digit) for digit in range(10)),
        train=_pick(images, labels, ~test),
        test=_pick(images, labels, test),
        note="scikit-learn's 8x8 grey digits, enlarged to 32x32 RGB",
        mirrored_is_same=False,
    )


def _every_fifth(labels: Labels) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Return a mask (N,) of every fifth image of each class, beginning with its third."""
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in np.unique(labels):
        chosen[np.flatnonzero(labels == label)[2::5]] = True
    return chosen


def _pick(images: Pixels, labels: Labels, chosen: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Split:
    names = tuple(f"digit {index}" for index in np.flatnonzero(chosen))
    return Split(images[chosen], labels[chosen], names)


def _enlarge(grey: np.ndarray[tuple[int, int, int], np.dtype[np.float64]]) -> Pixels:
    """Return levels 0..16 of (N, 8, 8) as (N, 32, 32, 3) uint8, bilinear."""
    from PIL import Image

    large = np.empty((len(grey), SIDE, SIDE, 3), dtype=np.uint8)
    for index, small in enumerate(grey):
        picture = Image.fromarray(np.rint(small * (255 / 16)).astype(np.uint8))
        large[index] = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))[..., None]
    return large
