"""What a training run writes down: frozen values, one JSON file or line each.

A run is a folder. Reports are made from it alone:

    config.json             everything needed to repeat it          RunConfig
    environment.json        versions, device, commit                free form
    analysis.json           the network, as `cifar_report.analyzer` saw it
    augmentation.json       the albumentations pipeline in force    Augmentation
    history.jsonl           one line per epoch                      Epoch
    history.csv             the same
    tensorboard/            the same as events, where it was asked for
    request.json            only until the run has begun: what was asked for
    run.lock                only while a process writes the run, or after one was killed
    checkpoint.safetensors  weights and buffers after the last epoch: those that the figures are of,
                            which are the averaged ones where weights are averaged
    state.pt                what resuming needs, weights included: the one file that resuming trusts
    predictions.npz         `logits` float32 (N, classes), `labels` int64 (N,) of the whole test split
    metrics.json            evaluation of the last epoch            Metrics
    samples.npz             images for the pictures: `images` uint8 (N, H, W, 3), `labels` int64 (N,),
                            `before` and `after` uint8 (M, H, W, 3): augmented training images,
                            `test_images` uint8 (K, H, W, 3) and `test_index` int64 (K,): the test
                            images that were misclassified with the highest confidence
    log.txt                 what was printed
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA_VERSION = 2
"""Version 1 had neither validation, averaged weights, mixing, distillation nor calibration."""
READABLE = (1, 2)


@dataclass(frozen=True, slots=True)
class DataFacts:
    """The data set as it was used."""

    name: str
    """`cifar10`, `digits` or the folder's name."""
    classes: tuple[str, ...]
    train_count: int
    test_count: int
    train_per_class: tuple[int, ...]
    test_per_class: tuple[int, ...]
    image_shape: tuple[int, int, int]
    """(C, H, W)."""
    mean: tuple[float, ...]
    """Of the training split's pixels, per channel, in 0..1."""
    std: tuple[float, ...]
    train_hash: str
    """SHA-256 over the training images and labels in order."""
    test_hash: str
    note: str = ""
    """Such as `resized from 8x8 to 32x32`."""
    validation_count: int = 0
    """Images held out from the training split, which is counted, hashed and averaged without them."""


@dataclass(frozen=True, slots=True)
class RunConfig:
    """Everything needed to repeat the run."""

    model: str
    """As given on the command line, such as `document_003` or `model.py:Net`."""
    data: DataFacts
    data_source: str
    """What `--data` was given."""
    epochs: int
    batch_size: int
    seed: int
    device: str
    optimizer: dict[str, Any]
    schedule: dict[str, Any]
    label_smoothing: float
    precision: str
    """`float32`, `bfloat16` or `float16`."""
    augment: str = ""
    """Where the augmentation was asked from; empty for the assignment's, or what suits the data."""
    normalize: dict[str, list[float]] | None = None
    """`mean` and `std` that the images of both splits are normalised with, in 0..1 per channel, where the
    augmentation's Normalize says others than the data's."""
    augment_with: str = "albumentations"
    """What augments: `torch` or `albumentations`."""
    mixup: float = 0.0
    """Alpha of mixup; 0 for none."""
    cutmix: float = 0.0
    """Alpha of cutmix; 0 for none."""
    average: float = 0.0
    """Decay per step of the exponential moving average of the weights; 0 for none."""
    clip: float = 0.0
    """Largest norm of all gradients together; 0 for any."""
    flip_test: bool = False
    """Whether each test image was also judged together with its mirror image."""
    start: dict[str, Any] | None = None
    """The finished run that the first weights are of: `run`, `weights` (SHA-256), `epochs` trained before;
    None for weights drawn at random."""
    teacher: dict[str, Any] | None = None
    """What was distilled from: `run`, `model`, `weights` (SHA-256), `weight`, `temperature`."""
    processes: int = 1
    """How many trained together."""
    assignment: dict[str, Any] | None = None
    """The assignment as data: id, title, prose, constraints."""
    constraints: tuple[str, ...] = ()
    """All constraints in force, the assignment's and the command line's."""
    command: str = ""
    """The command line that repeats the run."""
    extra: dict[str, Any] = field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION

    @property
    def epochs_before(self) -> int:
        """Epochs that the run's first weights had been trained for, by all runs before."""
        return self.start["epochs"] if self.start else 0

    @property
    def mean(self) -> Sequence[float]:
        """What is subtracted from the images' levels in 0..1, per channel."""
        return self.normalize["mean"] if self.normalize else self.data.mean

    @property
    def std(self) -> Sequence[float]:
        """What they are then divided by."""
        return self.normalize["std"] if self.normalize else self.data.std


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


@dataclass(frozen=True, slots=True)
class Transform:
    """One transform of the pipeline, as albumentations holds it, not as it was spelt."""

    name: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """The pipeline in force."""

    library: str
    """`albumentations 2.0.8`."""
    transforms: tuple[Transform, ...]
    pipeline: dict[str, Any]
    """`albumentations.to_dict` of the Compose."""


def to_dict(record: RunConfig | Epoch | Metrics | Augmentation) -> dict[str, Any]:
    """Return a record as JSON-ready data."""
    return asdict(record)


def config_from_dict(data: dict[str, Any]) -> RunConfig:
    """Rebuild a `RunConfig` from `to_dict()` or from parsed JSON.

    Raises:
        KeyError, TypeError: a field is missing or unknown.
    """
    facts = DataFacts(**_with_tuples(data["data"]))
    return RunConfig(**{**data, "data": facts, "constraints": tuple(data["constraints"])})


def metrics_from_dict(data: dict[str, Any]) -> Metrics:
    """Rebuild a `Metrics` from `to_dict()` or from parsed JSON.

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


def augmentation_from_dict(data: dict[str, Any]) -> Augmentation:
    """Rebuild an `Augmentation` from `to_dict()` or from parsed JSON.

    Raises:
        KeyError, TypeError: a field is missing or unknown.
    """
    return Augmentation(**{**data, "transforms": tuple(Transform(**row) for row in data["transforms"])})


def _with_tuples(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with JSON's lists as tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
