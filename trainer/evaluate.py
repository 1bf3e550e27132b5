"""Evaluation on a whole split: every image once, in eval mode, in float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.calibration import calibrate
from cifar_report.trainer.images import ImageData, Labels, Split
from cifar_report.trainer.listen import Listener
from cifar_report.trainer.network import Network
from cifar_report.trainer.results import ClassAccuracy, Epoch, FlipTest, Metrics
from cifar_report.trainer.team import ALONE, Team

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
    def probabilities(self) -> NDArray[np.float64]:
        """Softmax of the scores, (N, classes); it leaves log-probabilities as they are, up to exp."""
        shifted = np.exp(self.scores.astype(np.float64) - self.scores.max(axis=1, keepdims=True))
        probabilities: NDArray[np.float64] = shifted / shifted.sum(axis=1, keepdims=True)
        return probabilities

    @property
    def correct(self) -> int:
        """Number of images whose highest score is their class's."""
        return int((self.predictions == self.labels).sum())

    @property
    def accuracy(self) -> float:
        """Percent of all images."""
        return 100 * self.correct / len(self.labels)


def evaluate(
    network: Network,
    split: Split,
    team: Team = ALONE,
    *,
    mirrored: bool = False,
    listener: Listener | None = None,
) -> Evaluation:
    """Evaluate on every image of a split, each of them in one process, without padding.

    Args:
        network: its module is put into eval mode.
        split: the images.
        team: the processes that share the work; each gets the whole result.
        mirrored: each image mirrored left to right.
        listener: hears how far it is.

    Raises:
        RuntimeError: an image was scored more than once, or not at all.
        ModelError: the network's output doesn't fit.
    """
    network.module.eval()
    count = len(split.labels)
    scores = torch.zeros(count, network.classes, device=network.device)
    times = torch.zeros(count, dtype=torch.int64, device=network.device)
    mine = team.part(count)
    with torch.inference_mode():
        for first in range(0, len(mine), _BATCH):
            chosen = mine[first : first + _BATCH]
            images = torch.from_numpy(split.images[chosen])
            rows = torch.from_numpy(chosen).to(network.device)
            scores[rows] = network.scores(images.flip(2) if mirrored else images)
            times[rows] += 1
            if listener:
                listener.work("evaluating", first + len(chosen), len(mine))
    scores, times = team.sum(scores).cpu(), team.sum(times)
    if not bool((times == 1).all()):
        raise RuntimeError(f"{int((times == 1).sum())} of {count} images were scored exactly once")
    loss = float(functional.cross_entropy(scores, torch.from_numpy(split.labels)))
    return Evaluation(scores.numpy(), split.labels, loss)


def refuse_mirrored(data: ImageData) -> None:
    """Raise a UsageError for images that mean something else when they are mirrored."""
    if not data.mirrored_is_same:
        raise UsageError(
            "--flip-test judges mirror images, and mirrored these are other signs", found=data.name
        )


def with_mirror_images(plain: Evaluation, mirrored: Evaluation) -> FlipTest:
    """Return the accuracy of the mean of both probabilities."""
    together = plain.probabilities + mirrored.probabilities
    correct = int((together.argmax(axis=1) == plain.labels).sum())
    return FlipTest(accuracy=100 * correct / len(plain.labels), correct=correct)


def make_metrics(
    evaluation: Evaluation,
    classes: tuple[str, ...],
    history: tuple[Epoch, ...],
    flip_test: FlipTest | None = None,
) -> Metrics:
    """Return the figures of the last epoch's evaluation; the best epoch only stands beside them."""
    confusion = confuse(evaluation, classes)
    best = max(history, key=lambda epoch: epoch.accuracy)
    return Metrics(
        epoch=history[-1].epoch,
        accuracy=evaluation.accuracy,
        correct=evaluation.correct,
        count=len(evaluation.labels),
        loss=evaluation.loss,
        best_epoch=best.epoch,
        best_accuracy=best.accuracy,
        per_class=per_class(evaluation, classes),
        confusion=tuple(tuple(row) for row in confusion.tolist()),
        seconds=sum(epoch.seconds for epoch in history),
        best_on=best.judged_on,
        calibration=calibrate(evaluation.probabilities, evaluation.labels),
        flip_test=flip_test,
    )


def confuse(evaluation: Evaluation, classes: tuple[str, ...]) -> NDArray[np.int64]:
    """Return how often each class, a row, was taken for each class, a column."""
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(confusion, (evaluation.labels, evaluation.predictions), 1)
    return confusion


def per_class(evaluation: Evaluation, classes: tuple[str, ...]) -> tuple[ClassAccuracy, ...]:
    """Return each class's accuracy over all of its images."""
    confusion = confuse(evaluation, classes)
    counts, correct = confusion.sum(axis=1).tolist(), confusion.diagonal().tolist()
    return tuple(
        ClassAccuracy(name=name, count=count, correct=right, accuracy=100 * right / count)
        for name, count, right in zip(classes, counts, correct, strict=True)
    )
