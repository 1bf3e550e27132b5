"""Do a run's facts agree with each other? A report is refused where they don't.

Each check returns sentences that name both figures, so that the reader can see which one is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Analysis
    from cifar_report.reporter.facts import Samples
    from cifar_report.trainer.records import DataFacts
    from cifar_report.trainer.results import Epoch, Metrics
    from cifar_report.trainer.run import Run

TOLERANCE = 1e-3
"""Largest difference between two accuracies [percentage points] or losses that counts as equal."""


def contradictions(run: Run) -> list[str]:
    """Return a sentence for every pair of facts in the run that can't both be true."""
    found = [*_network(run.analysis), *_data(run.config.data), *_history(run)]
    if run.metrics is not None:
        found += [*_metrics(run.metrics, run.config.data), *_last_epoch(run.metrics, run.history)]
    return found


def prediction_contradictions(run: Run, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> list[str]:
    """Compare logits (N, classes) and labels (N,) of the test split with what metrics.json says of them."""
    data = run.config.data
    shape = (data.test_count, len(data.classes))
    if logits.shape != shape or labels.shape != shape[:1]:
        return [f"predictions have shape {logits.shape}, the test split and its classes {shape}"]
    if not set(np.unique(labels).tolist()) <= set(range(shape[1])):
        return [f"predictions have labels beyond the {shape[1]} classes"]
    if run.metrics is None:
        return []
    counted = np.zeros((shape[1], shape[1]), dtype=np.int64)
    np.add.at(counted, (labels, logits.argmax(axis=1)), 1)
    found = []
    if counted.tolist() != [list(row) for row in run.metrics.confusion]:
        found.append("the confusion matrix is not the one that the stored predictions give")
    return [*found, *_scores(run.metrics, logits, labels)]


def sample_contradictions(run: Run, samples: Samples) -> list[str]:
    """Compare the images kept for pictures with each other and with the data set."""
    found = []
    pairs = (
        ("images", samples.images, "labels", samples.labels),
        ("images before augmentation", samples.before, "after it", samples.after),
        ("misclassified images", samples.test_images, "positions of them", samples.test_index),
    )
    for one, first, other, second in pairs:
        if len(first) != len(second):
            found.append(f"{len(first)} {one} and {len(second)} {other} were kept")
    if not set(np.unique(samples.labels).tolist()) <= set(range(len(run.config.data.classes))):
        found.append("images were kept with labels beyond the data set's classes")
    if not set(samples.test_index.tolist()) <= set(range(run.config.data.test_count)):
        found.append("misclassified images were kept from beyond the test split")
    return found


def weight_contradictions(run: Run, elements: int) -> list[str]:
    """Compare the number of values in the weights' file with the network's parameters."""
    params = run.analysis.totals.params
    if elements >= params:  # buffers come on top
        return []
    return [f"the weights hold {elements:,} values, the network has {params:,} parameters"]


def _scores(metrics: Metrics, logits: NDArray[np.float32], labels: NDArray[np.int64]) -> Iterator[str]:
    """Compute loss and mean confidence from the scores anew."""
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    sums = np.log(np.exp(shifted).sum(axis=1))
    loss = float((sums - shifted[np.arange(len(labels)), labels]).mean())
    if abs(loss - metrics.loss) > TOLERANCE:
        yield f"the stored predictions have a loss of {loss:.4f}, the evaluation says {metrics.loss:.4f}"
    if metrics.calibration is None:
        return
    sure = 100 * float(np.exp(-sums).mean())
    bins = metrics.calibration.bins
    said = 100 * sum(row.count * (row.confidence or 0) for row in bins) / max(1, metrics.count)
    if abs(sure - said) > 10 * TOLERANCE:
        yield f"the stored predictions are {sure:.2f} % sure on average, the calibration says {said:.2f} %"


def _network(analysis: Analysis) -> Iterator[str]:
    totals = analysis.totals
    rows = sum(layer.params for layer in analysis.layers)
    if rows != totals.params:
        yield f"the layers' parameters add up to {rows:,}, the total says {totals.params:,}"
    if totals.trainable_params + totals.frozen_params != totals.params:
        yield (
            f"{totals.trainable_params:,} trainable and {totals.frozen_params:,} frozen parameters"
            f" are not {totals.params:,}"
        )
    macs = [layer.macs for layer in analysis.layers]
    if totals.macs is not None and None not in macs:
        added = sum(value for value in macs if value is not None)
        if added != totals.macs:
            yield f"the layers' MACs add up to {added:,}, the total says {totals.macs:,}"


def _data(data: DataFacts) -> Iterator[str]:
    splits = (
        ("training", data.train_count, data.train_per_class),
        ("test", data.test_count, data.test_per_class),
    )
    for split, count, per_class in splits:
        if len(per_class) != len(data.classes):
            yield f"{len(per_class)} classes are counted in the {split} split, {len(data.classes)} are named"
        if sum(per_class) != count:
            yield f"the classes' {split} images add up to {sum(per_class):,}, the {split} split has {count:,}"
    if data.train_hash == data.test_hash:
        yield "the training and the test split hold the same images"


def _history(run: Run) -> Iterator[str]:
    numbers = [epoch.epoch for epoch in run.history]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"the log's epochs are numbered {numbers}, not 1 to {len(numbers)}"
    planned = run.config.epochs
    if len(numbers) > planned or (run.metrics is not None and len(numbers) != planned):
        yield f"the log has {len(numbers)} epochs, the configuration {planned}"
    for epoch in run.history:
        data = run.config.data
        expected = (
            ("validation", data.validation_count) if data.validation_count else ("test", data.test_count)
        )
        if (epoch.judged_on, epoch.count) != expected:
            yield (
                f"epoch {epoch.epoch} was judged on {epoch.count:,} {epoch.judged_on} images,"
                f" the {expected[0]} split has {expected[1]:,}"
            )


def _metrics(metrics: Metrics, data: DataFacts) -> Iterator[str]:
    classes = metrics.per_class
    if tuple(item.name for item in classes) != data.classes:
        yield "the evaluated classes are not the data set's"
    if tuple(item.count for item in classes) != data.test_per_class:
        yield "the classes were evaluated on other counts than the test split has"
    if metrics.count != data.test_count:
        yield f"{metrics.count:,} images were evaluated, the test split has {data.test_count:,}"
    correct = sum(item.correct for item in classes)
    if correct != metrics.correct:
        yield f"the classes' correct images add up to {correct:,}, the total says {metrics.correct:,}"
    yield from _accuracies(metrics)
    yield from _confusion(metrics)
    yield from _calibration(metrics)
    yield from _flip_test(metrics)


def _accuracies(metrics: Metrics) -> Iterator[str]:
    rows = [(item.name, item.accuracy, item.correct, item.count) for item in metrics.per_class]
    for name, accuracy, correct, count in [*rows, ("", metrics.accuracy, metrics.correct, metrics.count)]:
        if count and abs(accuracy - 100 * correct / count) > TOLERANCE:
            of = f" of class {name}" if name else ""
            yield f"{correct:,} of {count:,} correct is not the accuracy{of} of {accuracy:.3f} %"
    if len({item.count for item in metrics.per_class}) == 1:
        mean = sum(item.accuracy for item in metrics.per_class) / len(metrics.per_class)
        if abs(mean - metrics.accuracy) > TOLERANCE:
            yield (
                f"the classes are balanced and their mean accuracy is {mean:.3f} %,"
                f" the overall accuracy {metrics.accuracy:.3f} %"
            )


def _confusion(metrics: Metrics) -> Iterator[str]:
    size = len(metrics.per_class)
    if len(metrics.confusion) != size or any(len(row) != size for row in metrics.confusion):
        yield f"the confusion matrix is not {size} by {size}"
        return
    for index, item in enumerate(metrics.per_class):
        row = metrics.confusion[index]
        if sum(row) != item.count or row[index] != item.correct:
            yield (
                f"class {item.name} has {item.correct:,} of {item.count:,} correct,"
                f" in the confusion matrix {row[index]:,} of {sum(row):,}"
            )


def _calibration(metrics: Metrics) -> Iterator[str]:
    if metrics.calibration is None:
        return
    bins = metrics.calibration.bins
    counted = sum(row.count for row in bins)
    if counted != metrics.count:
        yield f"the calibration's bins hold {counted:,} images, {metrics.count:,} were evaluated"
        return
    right = 100 * sum(row.count * (row.accuracy or 0) for row in bins) / max(1, counted)
    if abs(right - metrics.accuracy) > TOLERANCE:
        yield f"the calibration's bins are {right:.3f} % right, the evaluation {metrics.accuracy:.3f} %"
    apart = [row.count * abs((row.accuracy or 0) - (row.confidence or 0)) for row in bins]
    error = sum(apart) / max(1, counted)
    if abs(error - metrics.calibration.error) > TOLERANCE / 100:
        yield (
            f"the calibration's bins have an error of {error:.5f}, it is given as"
            f" {metrics.calibration.error:.5f}"
        )


def _flip_test(metrics: Metrics) -> Iterator[str]:
    flip = metrics.flip_test
    if flip is not None and abs(flip.accuracy - 100 * flip.correct / max(1, metrics.count)) > TOLERANCE:
        yield (
            f"{flip.correct:,} of {metrics.count:,} correct with mirror images is not {flip.accuracy:.3f} %"
        )


def _last_epoch(metrics: Metrics, history: tuple[Epoch, ...]) -> Iterator[str]:
    if not history:
        yield "there is an evaluation but no log of epochs"
        return
    last = history[-1]
    tested = last.test_accuracy
    if metrics.epoch != last.epoch or (tested is not None and abs(metrics.accuracy - tested) > TOLERANCE):
        yield (
            f"the evaluation is of epoch {metrics.epoch} with {metrics.accuracy:.3f} %,"
            f" the log ends with epoch {last.epoch} and {last.accuracy:.3f} %"
        )
    best = max(epoch.accuracy for epoch in history)
    at_best = {epoch.epoch for epoch in history if abs(epoch.accuracy - best) <= TOLERANCE}
    if abs(best - metrics.best_accuracy) > TOLERANCE or metrics.best_epoch not in at_best:
        yield (
            f"the best accuracy is given as {metrics.best_accuracy:.3f} % in epoch {metrics.best_epoch},"
            f" the log has {best:.3f} % in epoch {min(at_best)}"
        )
