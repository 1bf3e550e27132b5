"""Evaluation on a whole split: every image once, in eval mode, in float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from cifar_report.trainer.images import Labels, Split
from cifar_report.trainer.network import Network
from cifar_report.trainer.records import ClassAccuracy, Epoch, Metrics

_BATCH = 500


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What a network says about each image of a split."""

    scores: NDArray[np.float32]
    """(N, classes), as the network returns them: logits or log-probabilities."""
    labels: Labels
    """(N,)."""
    loss: float
    """Mean cross-entropy per image."""

    @property
    def predictions(self) -> Labels:
        """Class of the highest score per image, (N,)."""
        predictions: Labels = self.scores.argmax(axis=1).astype(np.int64)
        return predictions

    @property
    def correct(self) -> int:
        """Number of images whose highest score is their class's."""
        return int((self.predictions == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Percent of all images."""
        return 100 * self.correct / len(self.labels)


def evaluate(network: Network, split: Split) -> Evaluation:
    """Evaluate on every image of a split.

    Raises:
        RuntimeError: another number of images was scored than the split holds.
        ModelError: the network's output doesn't fit.
    """
    network.module.eval()
    with torch.inference_mode():
        parts = [
            network.scores(torch.from_numpy(split.images[first : first + _BATCH]))
            for first in range(0, len(split.labels), _BATCH)
        ]
        scores = torch.cat(parts).cpu()
        if len(scores) != len(split.labels):
            raise RuntimeError(f"{len(scores)} images were scored, the split holds {len(split.labels)}")
        loss = float(functional.cross_entropy(scores, torch.from_numpy(split.labels)))
    return Evaluation(scores.numpy(), split.labels, loss)


def make_metrics(evaluation: Evaluation, classes: tuple[str, ...], history: tuple[Epoch, ...]) -> Metrics:
    """Return the figures of the last epoch's evaluation; the best epoch only stands beside them."""
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, (evaluation.labels, evaluation.predictions), 1)
    best = max(history, key=lambda epoch: epoch.test_accuracy)
    return Metrics(
        epoch=history[-1].epoch,
        accuracy=evaluation.accuracy,
        correct=evaluation.correct,
        count=len(evaluation.labels),
        loss=evaluation.loss,
        best_epoch=best.epoch,
        best_accuracy=best.test_accuracy,
        per_class=tuple(
            _class(name, row, index) for index, (name, row) in enumerate(zip(classes, confusion, strict=True))
        ),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        seconds=sum(epoch.seconds for epoch in history),
    )


def _class(name: str, row: Labels, index: int) -> ClassAccuracy:
    count, correct = int(row.sum()), int(row[index])
    return ClassAccuracy(name=name, count=count, correct=correct, accuracy=100 * correct / count)
