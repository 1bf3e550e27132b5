"""What the trained network gets right and wrong, in words."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cifar_report.reporter import calibration
from cifar_report.reporter.calibration import CalibrationWords
from cifar_report.reporter.tables import Column, Table
from cifar_report.reporter.wording import count, one_line, percent, plural

if TYPE_CHECKING:
    from cifar_report.reporter.facts import Facts, Predictions
    from cifar_report.trainer.results import Metrics
    from cifar_report.trainer.run import Run

Z_95 = 1.959964
"""Two-sided 95 % quantile of the normal distribution."""
MOST_CONFUSED = 5
"""Pairs of classes named in words."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A misclassified test image."""

    index: int
    """Position in the test split."""
    truth: str
    guess: str
    confidence: float
    """Softmax probability of the guess [%]."""


@dataclass(frozen=True, slots=True)
class Results:
    """The evaluation of the last epoch on the whole test split."""

    accuracy: str
    sentences: tuple[str, ...]
    per_class: Table | None
    confusion: Table | None
    confused: Table | None
    mistakes: tuple[Mistake, ...]
    """Those of which pictures were kept."""
    mistake_table: Table | None
    mistakes_absent: str
    """Why there is no such table, where there is none."""
    calibration: CalibrationWords
    seeds: str
    """How many seeds the accuracy is of, and the interval that is known."""


def describe(facts: Facts) -> Results:
    """Turn the metrics into words; a run that wasn't evaluated says so."""
    metrics = facts.run.metrics
    mistakes = misclassified(facts)
    return Results(
        accuracy=percent(metrics.accuracy if metrics else None),
        sentences=_sentences(metrics) if metrics else (_missing(facts.run),),
        per_class=_per_class(metrics) if metrics else None,
        confusion=_confusion(metrics) if metrics else None,
        confused=_confused(metrics) if metrics else None,
        mistakes=mistakes,
        mistake_table=_mistake_table(mistakes),
        mistakes_absent=_mistakes_absent(metrics),
        calibration=calibration.describe(metrics),
        seeds=_seeds(facts.run),
    )


def misclassified(facts: Facts) -> tuple[Mistake, ...]:
    """Return the mistakes of which the run kept pictures, in the order in which it kept them."""
    if facts.samples is None or facts.predictions is None:
        return ()
    names = [one_line(name) for name in facts.run.config.data.classes]
    return tuple(_mistake(facts.predictions, int(index), names) for index in facts.samples.test_index)


def wilson(correct: int, total: int, z: float = Z_95) -> tuple[float, float]:
    """Return the interval of an accuracy [%] that the number of images alone leaves open.

    Wilson's score interval (Wilson 1927, doi 10.1080/01621459.1927.10502953).
    """
    share = correct / total
    centre = share + z * z / (2 * total)
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    scale = 1 + z * z / total
    return 100 * (centre - spread) / scale, 100 * (centre + spread) / scale


def _missing(run: Run) -> str:
    if not run.history:
        return "Test accuracy: not measured. Training ended before its first epoch was done."
    last = run.history[-1]
    where = "" if last.judged_on == "test" else f"{last.judged_on} "
    return (
        f"Test accuracy: not measured. The run ended before its final evaluation; in epoch {last.epoch} of"
        f" {run.config.epochs} the log shows {percent(last.accuracy)} on {last.count:,} {where}images."
    )


def _sentences(metrics: Metrics) -> tuple[str, ...]:
    low, high = wilson(metrics.correct, metrics.count)
    mean = sum(item.accuracy for item in metrics.per_class) / len(metrics.per_class)
    return (
        f"Test accuracy of the last epoch, {metrics.epoch}: {percent(metrics.accuracy)}"
        f" ({metrics.correct:,} of {metrics.count:,} test images, each evaluated once).",
        f"The number of test images alone leaves open {low:.2f} to {high:.2f} %"
        " (Wilson's 95 % interval); the seed adds to that.",
        f"Mean of the classes' accuracies: {percent(mean)}. Test loss: {metrics.loss:.4f}.",
        _best(metrics),
        *_flip_test(metrics),
    )


def _best(metrics: Metrics) -> str:
    best = f"Best epoch: {metrics.best_epoch} with {percent(metrics.best_accuracy)}"
    if metrics.best_on == "test":
        return f"{best}. It was chosen on the test split, so it is not the result."
    return (
        f"{best} on the {metrics.best_on} images. The test images were looked at once, after the last epoch."
    )


def _flip_test(metrics: Metrics) -> tuple[str, ...]:
    if metrics.flip_test is None:
        return ()
    return (
        f"With each test image judged together with its mirror image: {percent(metrics.flip_test.accuracy)}"
        f" ({metrics.flip_test.correct:,} of {metrics.count:,}). This is not the result above.",
    )


def _seeds(run: Run) -> str:
    if run.metrics is None:
        return f"One seed, {run.config.seed}, and no accuracy yet."
    low, high = wilson(run.metrics.correct, run.metrics.count)
    return (
        f"One seed, {run.config.seed}: {percent(run.metrics.accuracy)}, of which the number of test images"
        f" leaves open {low:.2f} to {high:.2f} %. How much other seeds differ is not measured: train with"
        " some, and cifar-report report RUN1 RUN2 gives mean and interval."
    )


def _per_class(metrics: Metrics) -> Table:
    right = {"right": True}
    return Table(
        "Accuracy per class, over every test image",
        (Column("Class"), Column("Correct", **right), Column("Images", **right), Column("Accuracy", **right)),
        tuple(
            (
                one_line(item.name),
                count(item.correct),
                count(item.count),
                percent(item.accuracy if item.count else None),
            )
            for item in metrics.per_class
        ),
        total=("All classes", count(metrics.correct), count(metrics.count), percent(metrics.accuracy)),
    )


def _confusion(metrics: Metrics) -> Table:
    names = [one_line(item.name) for item in metrics.per_class]
    return Table(
        "Confusion matrix: rows are the truth, columns the network's guess",
        (Column("Truth"), *(Column(name, right=True) for name in names)),
        tuple((name, *map(count, row)) for name, row in zip(names, metrics.confusion, strict=True)),
    )


def _confused(metrics: Metrics) -> Table | None:
    names = [one_line(item.name) for item in metrics.per_class]
    pairs = [
        (wrong, truth, guess)
        for truth, row in enumerate(metrics.confusion)
        for guess, wrong in enumerate(row)
        if truth != guess and wrong
    ]
    if not pairs:
        return None
    pairs.sort(key=lambda pair: (-pair[0], pair[1], pair[2]))
    return Table(
        "Most frequent mistakes",
        (
            Column("Truth"),
            Column("Taken for"),
            Column("Images", right=True),
            Column("Of its class", right=True),
        ),
        tuple(
            (names[truth], names[guess], count(wrong), f"{100 * wrong / sum(metrics.confusion[truth]):.1f} %")
            for wrong, truth, guess in pairs[:MOST_CONFUSED]
        ),
    )


def _mistake(predictions: Predictions, index: int, names: list[str]) -> Mistake:
    logits = predictions.logits[index].astype(np.float64)
    exponentials = np.exp(logits - logits.max())
    guess = int(logits.argmax())
    return Mistake(
        index=index,
        truth=names[int(predictions.labels[index])],
        guess=names[guess],
        confidence=float(100 * exponentials[guess] / exponentials.sum()),
    )


def _mistakes_absent(metrics: Metrics | None) -> str:
    if metrics is None:
        return "Not measured."
    if metrics.correct == metrics.count:
        return "There are none: every test image was classified right."
    return f"{plural(metrics.count - metrics.correct, 'image')}; pictures of them were not kept in this run."


def _mistake_table(mistakes: tuple[Mistake, ...]) -> Table | None:
    if not mistakes:
        return None
    return Table(
        "The misclassified test images shown above",
        (
            Column("Test image", right=True),
            Column("Truth"),
            Column("Guess"),
            Column("Confidence", right=True),
        ),
        tuple(
            (f"{mistake.index:,}", mistake.truth, mistake.guess, percent(mistake.confidence, 1))
            for mistake in mistakes
        ),
    )
