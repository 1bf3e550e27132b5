"""A run's history in the forms that people and programs read."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict, fields
from pathlib import Path

from cifar_report.trainer.atomic import write_text
from cifar_report.trainer.listen import epoch_line
from cifar_report.trainer.records import RunConfig
from cifar_report.trainer.results import Epoch


def write_logs(folder: Path, history: tuple[Epoch, ...], config: RunConfig) -> None:
    """Write `history.jsonl`, `history.csv` and `log.txt`, each as a whole."""
    lines = [json.dumps(asdict(epoch), allow_nan=False) + "\n" for epoch in history]
    write_text(folder / "history.jsonl", "".join(lines))
    write_text(folder / "history.csv", csv_text(history))
    write_text(folder / "log.txt", log_text(history, config))


def csv_text(history: tuple[Epoch, ...]) -> str:
    """Return a header and a row per epoch; what wasn't measured is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = [field.name for field in fields(Epoch)]
    writer.writerow(names)
    writer.writerows([getattr(epoch, name) for name in names] for epoch in history)
    return text.getvalue()


def log_text(history: tuple[Epoch, ...], config: RunConfig) -> str:
    """Return `log.txt`: what the run is, and a line per epoch."""
    data = config.data
    held_out = f", {data.validation_count:,} held out from training" if data.validation_count else ""
    head = [
        f"model {config.model}, data {data.name}: "
        f"{data.train_count:,} training and {data.test_count:,} test images{held_out}",
        f"{config.epochs} epochs, batches of {config.batch_size}, {config.optimizer['name']}, "
        f"{config.schedule['name']} to {config.schedule['peak']:g}, "
        f"seed {config.seed}, {config.precision} on {config.device}",
    ]
    return "\n".join(head + [epoch_line(epoch, config.epochs) for epoch in history]) + "\n"
