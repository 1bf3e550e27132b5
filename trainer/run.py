"""A run folder, read back as one frozen value.

Reports are made from the folder alone:

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

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.records import (
    READABLE,
    Augmentation,
    RunConfig,
    augmentation_from_dict,
    config_from_dict,
)
from cifar_report.trainer.results import Epoch, Metrics, metrics_from_dict

Record = TypeVar("Record")


@dataclass(frozen=True, slots=True)
class Run:
    """A training run, finished or not."""

    folder: Path
    config: RunConfig
    environment: dict[str, Any]
    analysis: Analysis
    history: tuple[Epoch, ...]
    """One entry per completed epoch."""
    metrics: Metrics | None
    """None until the last epoch is done."""
    augmentation: Augmentation | None
    """None where training images went in as they are."""


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        UsageError: no such folder, not a run, another schema version, or a damaged file.
    """
    if not folder.is_dir():
        raise UsageError(
            f"there is no run folder {folder}",
            expected="a folder that `cifar-report train` wrote",
            found="a file" if folder.exists() else "nothing",
        )
    config = _required(folder / "config.json", _config)
    return Run(
        folder=folder,
        config=config,
        environment=_required(folder / "environment.json", dict),
        analysis=_required(folder / "analysis.json", Analysis.from_dict),
        history=_history(folder / "history.jsonl"),
        metrics=_optional(folder / "metrics.json", metrics_from_dict),
        augmentation=_optional(folder / "augmentation.json", augmentation_from_dict),
    )


def _config(data: dict[str, Any]) -> RunConfig:
    found = data.get("schema_version")
    if found not in READABLE:
        known = " and ".join(map(str, READABLE))
        raise ValueError(f"schema version {found}; this version of cifar-report reads {known}")
    return config_from_dict(data)


def _required(path: Path, build: Callable[[dict[str, Any]], Record]) -> Record:
    record = _optional(path, build)
    if record is None:
        raise UsageError(
            f"{path.parent} is not a run folder",
            expected=f"{path.name} in it, as `cifar-report train` writes",
            found=f"no {path.name}",
        )
    return record


def _optional(path: Path, build: Callable[[dict[str, Any]], Record]) -> Record | None:
    if not path.exists():
        return None
    try:
        return build(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        raise _unreadable(path, error) from error


def _history(path: Path) -> tuple[Epoch, ...]:
    if not path.exists():
        return ()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return tuple(Epoch(**json.loads(line)) for line in lines)
    except (ValueError, TypeError, OSError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> UsageError:
    reason = f"no field {error}" if isinstance(error, KeyError) else str(error)
    return UsageError(
        f"{path} can't be read",
        found=reason,
        hint="train again, or read the run with the version of cifar-report that wrote it",
    )
