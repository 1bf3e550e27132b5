"""What a training was asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """The values of `training_options`, and JSON that they come back from."""

    model: str
    data: str
    validation: int
    epochs: int | None
    batch_size: int
    optimizer: str
    learning_rate: float
    momentum: float
    weight_decay: float
    schedule: str
    warm_up: float | None
    step_factor: float
    step_times: int
    label_smoothing: float
    augment: str
    augment_with: str
    mixup: float
    cutmix: float
    average: float
    clip: float
    flip_test: bool
    start: Path | None
    teacher: Path | None
    teacher_weight: float
    temperature: float
    seed: int
    device: str
    precision: str
    memory_format: str
    compile: str
    assignment: str | None
    require: tuple[str, ...]
    out: Path | None
    overwrite: bool
    resume: Path | None
    workers: int | None
    progress: str
    seeds: str | None = None
    overfit_batch: bool = False
    find_rate: bool = False
    tensorboard: bool = False
    config: Path | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {
            name: str(value) if isinstance(value, Path) else value for name, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Request:
        """Rebuild a request from `to_dict()` or from parsed JSON.

        Raises:
            TypeError: an option is missing or unknown.
        """
        names = ("out", "resume", "start", "teacher", "config")
        paths = {name: Path(data[name]) for name in names if data.get(name)}
        return cls(**{**data, **paths, "require": tuple(data["require"])})
