"""The images and scores that a report shows: `samples.npz` and `predictions.npz`."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cifar_report.trainer.atomic import write_bytes
from cifar_report.trainer.evaluate import Evaluation
from cifar_report.trainer.feed import Augment
from cifar_report.trainer.images import ImageData, Labels, Pixels

PER_CLASS = 4
AUGMENTED = 10
MISCLASSIFIED = 25

_STREAM = 2
"""Tells these augmentations apart from those trained on."""


def write_predictions(folder: Path, evaluation: Evaluation) -> None:
    """Write the scores and labels of every test image."""
    _write(folder / "predictions.npz", {"logits": evaluation.scores, "labels": evaluation.labels})


def write_samples(
    folder: Path, data: ImageData, augment: Augment | None, seed: int, evaluation: Evaluation | None
) -> None:
    """Write training images of each class, images before and after augmentation, and errors.

    Args:
        folder: the run.
        data: where the images come from.
        augment: of the run's feed; None leaves `after` as `before`.
        seed: of the run; the same pictures come out for the same seed.
        evaluation: of the test split; None, before there is one, leaves `test_images` empty.
    """
    chosen = _of_each_class(data.train.labels, len(data.classes))
    few = spread(data)
    before = data.train.images[few]
    wrong = most_confident_errors(evaluation) if evaluation else np.empty(0, dtype=np.int64)
    _write(
        folder / "samples.npz",
        {
            "images": data.train.images[chosen],
            "labels": data.train.labels[chosen],
            "before": before,
            "after": draw(augment, data, few, seed) if augment else before,
            "test_images": data.test.images[wrong],
            "test_index": wrong,
        },
    )


def spread(data: ImageData, count: int = AUGMENTED) -> Labels:
    """Return the indices of at most so many training images, of as many classes as possible."""
    chosen = _of_each_class(data.train.labels, len(data.classes))
    return chosen[:: max(len(chosen) // count, 1)][:count]


def draw(augment: Augment, data: ImageData, indices: Labels, seed: int, number: int = 0) -> Pixels:
    """Return what the augmentation makes of training images, in one draw of several.

    Args:
        augment: of a feed.
        data: where the images come from.
        indices: theirs.
        seed: a run's; draw 0 is what its report shows.
        number: of the draw, from 0.
    """
    return augment(data.train.images[indices], indices, (seed, number, _STREAM))


def most_confident_errors(evaluation: Evaluation) -> Labels:
    """Return the indices (K,) of misclassified images, highest probability of the wrong class first."""
    # Softmax leaves log-probabilities as they are, up to exp.
    shifted = evaluation.scores - evaluation.scores.max(axis=1, keepdims=True)
    confidence = 1 / np.exp(shifted).sum(axis=1)
    wrong = np.flatnonzero(evaluation.predictions != evaluation.labels)
    order = np.argsort(-confidence[wrong], kind="stable")
    return wrong[order][:MISCLASSIFIED].astype(np.int64)


def _of_each_class(labels: Labels, classes: int) -> Labels:
    """Return the indices of the first images of each class, class by class."""
    return np.concatenate([np.flatnonzero(labels == label)[:PER_CLASS] for label in range(classes)])


def _write(path: Path, arrays: dict[str, NDArray[np.float32] | Labels | Pixels]) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    write_bytes(path, buffer.getvalue())
