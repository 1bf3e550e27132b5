"""A run's history for TensorBoard, in the folder `tensorboard` of the run."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.extras import load_extra
from cifar_report.trainer.results import Epoch

FOLDER = "tensorboard"
EXTRA = "tensorboard"


def require_tensorboard() -> None:
    """Raise UsageError, naming the extra, where TensorBoard is not installed."""
    load_extra("tensorboard", EXTRA)


@contextmanager
def event_log(folder: Path, history: tuple[Epoch, ...], wanted: bool) -> Iterator[Callable[[Epoch], None]]:
    """Yield what takes each new epoch; with nothing wanted, it does nothing.

    The epochs so far are written anew: after a kill, none of them is there twice.

    Args:
        folder: the run's.
        history: the epochs so far.
        wanted: whether to write anything.

    Raises:
        UsageError: TensorBoard is not installed, or the folder can't be written.
    """
    if not wanted:
        yield lambda epoch: None
        return
    require_tensorboard()
    place = folder / FOLDER
    with _as_usage_errors(place):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        file = (place / f"events.out.tfevents.{time.time():.0f}").open("wb")

    def add(epoch: Epoch) -> None:
        with _as_usage_errors(place):
            _write(file, step=epoch.epoch, scalars=_scalars(epoch))

    try:
        with _as_usage_errors(place):
            _write(file, file_version="brain.Event:2")
        for epoch in history:
            add(epoch)
        yield add
    finally:
        # Each epoch is in the file by now, or its error is on its way.
        with suppress(OSError):
            file.close()


def _write(file: BinaryIO, *, scalars: Mapping[str, float] | None = None, **fields: Any) -> None:
    """Write an event and see it into the file; torch's SummaryWriter has a thread, which prints errors."""
    event = load_extra("tensorboard.compat.proto.event_pb2", EXTRA).Event(wall_time=time.time(), **fields)
    for tag, value in (scalars or {}).items():
        event.summary.value.add(tag=tag, simple_value=value)
    records = load_extra("tensorboard.summary.writer.record_writer", EXTRA)
    records.RecordWriter(file).write(event.SerializeToString())
    file.flush()


def _scalars(epoch: Epoch) -> dict[str, float]:
    """Return the figures of an epoch by the names that TensorBoard groups."""
    return {
        "loss/train": epoch.train_loss,
        f"loss/{epoch.judged_on}": epoch.loss,
        "accuracy/train": epoch.train_accuracy,
        f"accuracy/{epoch.judged_on}": epoch.accuracy,
        "learning_rate": epoch.learning_rate,
        "speed/images_per_second": epoch.images_per_second,
        "speed/data_wait": epoch.data_wait,
    }


@contextmanager
def _as_usage_errors(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{place} can't be written",
            found=error.strerror or str(error),
            hint="make room or give access; a run that has begun goes on with --resume",
        ) from error
