"""What came of a training run: its epochs, and the evaluation of the last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Epoch:
    """One epoch: losses are means per image of the plain cross-entropy, accuracies in percent."""

    epoch: int
    train_loss: float
    """Over the epoch's augmented images while the network still changed, without label smoothing."""
    train_accuracy: float
    """Of the same images; no measure of how well the training split is known at the epoch's end."""
    test_loss: float | None
    """None where a validation split was judged instead."""
    test_accuracy: float | None
    train_count: int
    test_count: int
    learning_rate: float
    """At the end of the epoch."""
    seconds: float
    """Training and evaluation."""
    images_per_second: float
    """Training alone."""
    data_wait: float = 0.0
    """Share of the training time spent waiting for images, 0..1."""
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    validation_count: int = 0

    @property
    def judged_on(self) -> str:
        """Which images the epoch was judged on: `validation` or `test`."""
        return "validation" if self.validation_count else "test"

    @property
    def loss(self) -> float:
        """On these images."""
        return _there(self.validation_loss if self.validation_count else self.test_loss)

    @property
    def accuracy(self) -> float:
        """On these images [%]."""
        return _there(self.validation_accuracy if self.validation_count else self.test_accuracy)

    @property
    def count(self) -> int:
        """Of these images."""
        return self.validation_count or self.test_count


def _there(value: float | None) -> float:
    if value is None:
        raise ValueError("the epoch was judged on no images")
    return value


@dataclass(frozen=True, slots=True)
class Bin:
    """The test images whose confidence lies in one interval."""

    low: float
    """Above which their confidence lies, 0..1."""
    high: float
    count: int
    confidence: float | None
    """Mean, 0..1; None where there are none."""
    accuracy: float | None
    """Share of them that is right, 0..1."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How far confidence and accuracy are apart."""

    error: float
    """Expected calibration error, 0..1."""
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True)
class FlipTest:
    """Accuracy with each image's probabilities averaged with its mirror image's; never the headline."""

    accuracy: float
    """Percent."""
    correct: int


@dataclass(frozen=True, slots=True)
class ClassAccuracy:
    """Accuracy over every test image of one class."""

    name: str
    count: int
    correct: int
    accuracy: float
    """Percent."""


@dataclass(frozen=True, slots=True)
class Metrics:
    """Evaluation of the last epoch on the whole test split."""

    epoch: int
    accuracy: float
    """Percent of `count`."""
    correct: int
    count: int
    loss: float
    best_epoch: int
    best_accuracy: float
    """Highest accuracy of any epoch on the images of `best_on`; never the headline."""
    per_class: tuple[ClassAccuracy, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows: truth, columns: prediction."""
    seconds: float
    """Of the whole training."""
    best_on: str = "test"
    """`test` or `validation`."""
    calibration: Calibration | None = None
    """None in runs of version 1."""
    flip_test: FlipTest | None = None
    """None where it wasn't asked for."""


def metrics_from_dict(data: dict[str, Any]) -> Metrics:
    """Rebuild a `Metrics` from its fields as data, such as parsed JSON.

    Raises:
        KeyError, TypeError: a field is missing or unknown.
    """
    per_class = tuple(ClassAccuracy(**row) for row in data["per_class"])
    confusion = tuple(tuple(row) for row in data["confusion"])
    nested: dict[str, Any] = {"per_class": per_class, "confusion": confusion}
    if calibration := data.get("calibration"):
        bins = tuple(Bin(**row) for row in calibration["bins"])
        nested["calibration"] = Calibration(calibration["error"], bins)
    if flip_test := data.get("flip_test"):
        nested["flip_test"] = FlipTest(**flip_test)
    return Metrics(**{**data, **nested})
