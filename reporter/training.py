"""How the network was trained, in words: settings and log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cifar_report.reporter.tables import Column, Table, settings
from cifar_report.reporter.wording import (
    NOT_MEASURED,
    count,
    decimal,
    duration,
    flat,
    one_line,
    percent,
    plural,
)

if TYPE_CHECKING:
    from cifar_report.trainer.records import RunConfig
    from cifar_report.trainer.results import Epoch
    from cifar_report.trainer.run import Run


@dataclass(frozen=True, slots=True)
class Training:
    """Settings and log of a run."""

    state: str
    """Whether the run is complete."""
    hyperparameters: Table
    log: Table | None
    """None before the first epoch is done."""


def describe(run: Run) -> Training:
    """Turn a run's configuration and history into tables."""
    return Training(state=_state(run), hyperparameters=_hyperparameters(run), log=_log(run.history))


def _state(run: Run) -> str:
    done, planned = len(run.history), run.config.epochs
    seconds = run.metrics.seconds if run.metrics else sum(epoch.seconds for epoch in run.history)
    if run.metrics is None:
        return (
            f"Not complete: {done:,} of {plural(planned, 'epoch')} done in {duration(seconds)},"
            " and the final evaluation is missing."
        )
    return f"Complete: {trained(run.config)} in {duration(seconds)}."


def trained(config: RunConfig) -> str:
    """Return for how long a network was trained by the end of its run."""
    epochs, before = plural(config.epochs, "epoch"), config.epochs_before
    return f"{epochs} that followed {before:,} of an earlier run" if before else epochs


def _hyperparameters(run: Run) -> Table:
    config = run.config
    rows = [
        ("Model", one_line(config.model)),
        ("Epochs", count(config.epochs)),
        ("Batch size", count(config.batch_size)),
        ("Seed", str(config.seed)),
        ("Device", one_line(config.device)),
        ("Precision", one_line(config.precision)),
        ("Label smoothing of the cross-entropy", f"{config.label_smoothing:g}"),
        *flat(config.optimizer, "Optimizer: "),
        *flat(config.schedule, "Schedule: "),
        *_extras(config),
        *flat(config.extra),
    ]
    return settings("Set-up and hyperparameters", rows)


def _extras(config: RunConfig) -> list[tuple[str, str]]:
    """Return what most runs do without, where this one has it."""
    by = [("Augmented by", config.augment_with)] if config.schema_version > 1 else []
    rows = (
        ("Mixup: alpha", config.mixup),
        ("Cutmix: alpha", config.cutmix),
        ("Moving average of the weights: decay per step", config.average),
        ("Largest norm of the gradients", config.clip),
    )
    found = by + [(title, f"{value:g}") for title, value in rows if value]
    found += flat(config.start, "Begun with: ") if config.start else []
    found += flat(config.teacher, "Teacher: ") if config.teacher else []
    return found + ([("Processes", count(config.processes))] if config.processes > 1 else [])


def _log(history: tuple[Epoch, ...]) -> Table | None:
    if not history:
        return None
    where = history[-1].judged_on.capitalize()
    titles = (
        "Epoch",
        "Training loss",
        "Training accuracy",
        f"{where} loss",
        f"{where} accuracy",
        "Images tested" if where == "Test" else "Images held out",
        "Learning rate",
        "Seconds",
        "Images per second",
    )
    return Table(
        "Training log: losses are means per image, the learning rate is that at the end of the epoch",
        tuple(Column(title, right=True) for title in titles),
        tuple(_log_row(epoch) for epoch in history),
    )


def _log_row(epoch: Epoch) -> tuple[str, ...]:
    return (
        str(epoch.epoch),
        decimal(epoch.train_loss, 4),
        percent(epoch.train_accuracy),
        decimal(epoch.loss, 4),
        percent(epoch.accuracy),
        count(epoch.count) if epoch.count else NOT_MEASURED,
        f"{epoch.learning_rate:.6f}",
        decimal(epoch.seconds, 1),
        decimal(epoch.images_per_second, 0),
    )
