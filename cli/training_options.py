"""The argument and the options that `train` and `train-and-report` share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click

DEFAULT_MODEL = "document_003"

OPTIONS = (
    click.argument("model", required=False, default=DEFAULT_MODEL),
    click.option(
        "--data",
        default="cifar10",
        show_default=True,
        metavar="cifar10|digits|FOLDER",
        help="Images: CIFAR-10 (downloaded to data/ once), scikit-learn's digits, a folder with "
        "train/CLASS/ and test/CLASS/, or CIFAR-10's original batch folder.",
    ),
    click.option(
        "--epochs",
        type=click.IntRange(min=1),
        help="Passes over the training images.  [12 for digits, else 20]",
    ),
    click.option("--batch-size", type=click.IntRange(min=2), default=128, show_default=True),
    click.option(
        "--lr",
        type=click.FloatRange(min=0, min_open=True),
        default=0.2,
        show_default=True,
        help="Highest learning rate of the one-cycle schedule.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="The same seed gives the same run on the same machine.",
    ),
    click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True),
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16"]),
        default="auto",
        show_default=True,
        help="Of training; evaluation is in float32. auto takes bfloat16 where it is faster.",
    ),
    click.option("--assignment", metavar="ID", help="Judge the run by an assignment: an id or a TOML file."),
    click.option(
        "--require",
        multiple=True,
        metavar="EXPR",
        help="A constraint, such as 'test_accuracy >= 85'; repeatable.",
    ),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The run's folder, new or empty.  [runs/DATA-MODEL]",
    ),
    click.option("--overwrite", is_flag=True, help="Replace a run that lies in --out."),
    click.option(
        "--resume",
        type=click.Path(path_type=Path),
        metavar="RUN",
        help="Go on with a run that was stopped, as if it hadn't been.",
    ),
    click.option(
        "--workers", type=click.IntRange(min=0), help="Processes that augment images; the result is the same."
    ),
)


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument and the options of a training."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class Request:
    """The values of `training_options`, and JSON that they come back from."""

    model: str
    data: str
    epochs: int | None
    batch_size: int
    lr: float
    seed: int
    device: str
    precision: str
    assignment: str | None
    require: tuple[str, ...]
    out: Path | None
    overwrite: bool
    resume: Path | None
    workers: int | None

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
        paths = {name: Path(data[name]) for name in ("out", "resume") if data.get(name)}
        return cls(**{**data, **paths, "require": tuple(data["require"])})
