"""What a training writes besides, and a disk that is full, as seen from the command line."""

from __future__ import annotations

import errno
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import RecordWriter

from cifar_report.trainer import checkpoint
from tests.cli.trainings import call, names, train


@contextmanager
def no_room() -> Iterator[None]:
    """Let no file grow beyond 1,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def history(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def epochs_in_tensorboard(folder: Path) -> list[tuple[int, float]]:
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    return [(row.step, row.value) for row in events.Scalars("loss/train")]


def test_tensorboard_gets_the_history_and_without_the_option_there_is_none(place: Path) -> None:
    assert train("--out", "plain").exit_code == 0
    assert "tensorboard" not in names(place / "plain")
    result = train("--tensorboard", "--out", "run")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "run"
    expected = [(row["epoch"], pytest.approx(row["train_loss"], rel=1e-6)) for row in history(place / "run")]
    assert epochs_in_tensorboard(place / "run") == expected
    weights = [(place / name / "checkpoint.safetensors").read_bytes() for name in ("plain", "run")]
    assert weights[0] == weights[1]
    assert "--tensorboard" in json.loads((place / "run" / "config.json").read_text())["command"]


def test_a_full_disk_is_one_message_and_resume_ends_with_the_same_bytes(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert train("--out", "whole").exit_code == 0
    save, saved = checkpoint.save, []

    def full_at_the_last(*arguments: object) -> None:
        saved.append(arguments)
        if len(saved) < 3:  # before the first epoch, and after it
            save(*arguments)  # type: ignore[arg-type]  # they are handed on
            return
        with no_room():
            save(*arguments)  # type: ignore[arg-type]  # as above

    monkeypatch.setattr(checkpoint, "save", full_at_the_last)
    result = train("--tensorboard", "--out", "full")
    monkeypatch.undo()
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "full/state.pt can't be written" in result.stderr
    assert "file too large" in result.stderr.lower()
    assert "--resume" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(history(place / "full")) == 1
    monkeypatch.chdir(place)
    resumed = call("--resume", "full", "--workers", 0)
    assert resumed.exit_code == 0, resumed.stderr
    assert [epoch for epoch, _ in epochs_in_tensorboard(place / "full")] == [1, 2]
    weights = [(place / name / "checkpoint.safetensors").read_bytes() for name in ("whole", "full")]
    assert weights[0] == weights[1]


def test_a_full_disk_under_tensorboards_events_is_one_message_too(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, written = RecordWriter.write, []

    def write(self: RecordWriter, data: bytes) -> None:
        written.append(data)
        if b"loss/train" in data and sum(b"loss/train" in event for event in written) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        whole(self, data)

    monkeypatch.setattr(RecordWriter, "write", write)
    result = train("--tensorboard", "--out", "full")
    monkeypatch.undo()
    assert result.exit_code == 2, result.stderr
    assert result.stdout == ""
    assert "full/tensorboard can't be written" in result.stderr
    assert "no space left on device" in result.stderr.lower()
    assert "Traceback" not in result.stderr
    monkeypatch.chdir(place)
    resumed = call("--resume", "full", "--workers", 0)
    assert resumed.exit_code == 0, resumed.stderr
    assert [epoch for epoch, _ in epochs_in_tensorboard(place / "full")] == [1, 2]
