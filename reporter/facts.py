"""Everything a report is made of, gathered from one run folder and checked against itself."""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cifar_report.analyzer.errors import UsageError
from cifar_report.reporter.consistency import (
    contradictions,
    prediction_contradictions,
    sample_contradictions,
    weight_contradictions,
)
from cifar_report.reporter.measured import Measured, measure, nothing

if TYPE_CHECKING:
    from cifar_report.analyzer.constraints import Verdict
    from cifar_report.trainer.run import Run

WEIGHTS = "checkpoint.safetensors"
SAMPLES = "samples.npz"
PREDICTIONS = "predictions.npz"


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Images kept for the pictures, uint8, channels last."""

    images: NDArray[np.uint8]
    """Training images of shape (N, H, W, C), of 1 or 3 channels."""
    labels: NDArray[np.int64]
    """Their classes, shape (N,)."""
    before: NDArray[np.uint8]
    """Training images before augmentation, shape (M, H, W, C)."""
    after: NDArray[np.uint8]
    """The same images after it."""
    test_images: NDArray[np.uint8]
    """Misclassified test images of shape (K, H, W, C)."""
    test_index: NDArray[np.int64]
    """Their positions in the test split, shape (K,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What the network said about every test image."""

    logits: NDArray[np.float32]
    """Shape (N, classes)."""
    labels: NDArray[np.int64]
    """The truth, shape (N,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """A run, the verdicts on it and what its pictures need. Parts that the run lacks are None."""

    run: Run
    verdicts: tuple[Verdict, ...]
    samples: Samples | None
    predictions: Predictions | None
    weights_sha256: str | None
    """Of the checkpoint file's bytes."""
    measured: Measured
    """On the network itself, built again with these weights."""


def gather(folder: Path, *, with_network: bool = True) -> Facts:
    """Read a run folder, judge its constraints and refuse it when it contradicts itself.

    Args:
        folder: that `cifar-report train` wrote.
        with_network: build the network again and measure it.

    Raises:
        UsageError: not a run folder, a damaged file in it, or facts that contradict each other.
    """
    from cifar_report.trainer.run import read_run

    run = read_run(folder)
    predictions = _predictions(folder / PREDICTIONS)
    samples = _samples(folder / SAMPLES)
    found = contradictions(run)
    if predictions is not None:
        found += prediction_contradictions(run, predictions.logits, predictions.labels)
    if samples is not None:
        found += sample_contradictions(run, samples)
    elements = _elements(folder / WEIGHTS)
    if elements is not None:
        found += weight_contradictions(run, elements)
    if found:
        raise UsageError(
            f"no report: the facts in {folder} contradict each other",
            expected="figures that add up",
            found="; ".join(found),
            hint="train again, or look for a file of another run in that folder",
        )
    run = _calibrated(run, predictions)
    return Facts(
        run=run,
        verdicts=_verdicts(run),
        samples=samples,
        predictions=predictions,
        weights_sha256=_sha256(folder / WEIGHTS),
        measured=measure(run, samples, predictions, folder / WEIGHTS)
        if with_network
        else nothing("not asked for"),
    )


def _calibrated(run: Run, predictions: Predictions | None) -> Run:
    """Return a run of a version that didn't measure calibration with that of its stored predictions."""
    from cifar_report.trainer.calibration import calibrate

    if run.metrics is None or run.metrics.calibration is not None or predictions is None:
        return run
    logits = predictions.logits.astype(np.float64)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    calibration = calibrate(shares / shares.sum(axis=1, keepdims=True), predictions.labels)
    return replace(run, metrics=replace(run.metrics, calibration=calibration))


def _verdicts(run: Run) -> tuple[Verdict, ...]:
    from cifar_report.analyzer.constraints import judge, parse_constraint
    from cifar_report.trainer.measurements import measurements

    parsed = [parse_constraint(text) for text in run.config.constraints]
    return judge(parsed, run.analysis, measurements(run))


def _samples(path: Path) -> Samples | None:
    names = ("images", "labels", "before", "after", "test_images", "test_index")
    arrays = _arrays(path, names)
    return None if arrays is None else Samples(**arrays)


def _predictions(path: Path) -> Predictions | None:
    arrays = _arrays(path, ("logits", "labels"))
    return None if arrays is None else Predictions(**arrays)


def _arrays(path: Path, names: tuple[str, ...]) -> dict[str, NDArray[Any]] | None:
    """Return the named arrays of an npz file, or None where there is no such file."""
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in names}
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UsageError(
            f"cannot read {path}",
            expected=f"the arrays {', '.join(names)}",
            found=str(error),
            hint="train again, or delete the file to get a report without what it shows",
        ) from error


def _elements(path: Path) -> int | None:
    """Return how many values a safetensors file holds, from its header alone; None where that can't be read.

    Its first 8 bytes are the header's length, the header is JSON: a shape for every tensor.
    """
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(min(length, path.stat().st_size)))
        return sum(int(math.prod(row["shape"])) for name, row in header.items() if name != "__metadata__")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _sha256(path: Path) -> str | None:
    if not path.exists():
        return None
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
