"""Training images held out, so that choices can be made without looking at the test images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.images import ImageData, Labels, Split

_SEED = 0
"""The same images are held out for every seed of a run: their choice is no part of its chance."""


def hold_out(data: ImageData, count: int) -> tuple[ImageData, Split | None]:
    """Return the data without `count` training images, and these; None where there are none.

    Each class gives its share, as nearly as whole images can; which images is drawn once for all runs.

    Raises:
        UsageError: so many can't be held out with an image of each class on both sides.
    """
    if not count:
        return data, None
    labels, classes = data.train.labels, len(data.classes)
    if not classes <= count <= len(labels) - classes:
        raise UsageError(
            f"--val {count:,} training images can't be held out",
            expected=f"{classes:,} to {len(labels) - classes:,}: one of each class on both sides",
            found=f"{len(labels):,} training images",
        )
    chosen = np.sort(_choose(labels, _shares(np.bincount(labels, minlength=classes), count)))
    rest = np.setdiff1d(np.arange(len(labels)), chosen)
    return replace(data, train=_pick(data.train, rest)), _pick(data.train, chosen)


def _shares(per_class: Labels, count: int) -> Labels:
    """Return how many each class gives: its exact share rounded down, the rest to the largest remainders."""
    exact = per_class * count / per_class.sum()
    shares: Labels = np.clip(exact.astype(np.int64), 1, per_class - 1)
    while shares.sum() != count:
        step = 1 if shares.sum() < count else -1
        open_ = (shares + step >= 1) & (shares + step <= per_class - 1)
        shares[np.argmax(np.where(open_, step * (exact - shares), -np.inf))] += step
    return shares


def _choose(labels: Labels, shares: Labels) -> Labels:
    rng = np.random.default_rng(_SEED)
    chosen = [
        rng.choice(np.flatnonzero(labels == label), share, replace=False)
        for label, share in enumerate(shares.tolist())
    ]
    return np.concatenate(chosen)


def _pick(split: Split, indices: Labels) -> Split:
    names = tuple(split.names[index] for index in indices) if split.names else None
    return Split(split.images[indices], split.labels[indices], names)
