"""What a training run was asked for: its data, recipe and augmentation. What came of it is in `results`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
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


def config_from_dict(data: dict[str, Any]) -> RunConfig:
    """Rebuild a `RunConfig` from its fields as data, such as parsed JSON.

    Raises:
        KeyError, TypeError: a field is missing or unknown.
    """
    facts = DataFacts(**_with_tuples(data["data"]))
    return RunConfig(**{**data, "data": facts, "constraints": tuple(data["constraints"])})


def augmentation_from_dict(data: dict[str, Any]) -> Augmentation:
    """Rebuild an `Augmentation` from its fields as data, such as parsed JSON.

    Raises:
        KeyError, TypeError: a field is missing or unknown.
    """
    return Augmentation(**{**data, "transforms": tuple(Transform(**row) for row in data["transforms"])})


def _with_tuples(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with JSON's lists as tuples."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
