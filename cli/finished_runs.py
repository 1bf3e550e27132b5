"""Finished runs that a training begins with, or learns from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

    from cifar_report.cli.training_request import Request
    from cifar_report.trainer.images import ImageData
    from cifar_report.trainer.records import DataFacts, RunConfig
    from cifar_report.trainer.teacher import Teacher


def begun_with(module: nn.Module, request: Request, data: ImageData) -> dict[str, Any] | None:
    """Put the weights of `--start` into a network; return what the new run writes down of them."""
    if request.start is None:
        return None
    from cifar_report.trainer.learnt import begin_with
    from cifar_report.trainer.run import read_run

    return begin_with(module, read_run(request.start), _described(data, request.validation))


@contextlib.contextmanager
def teacher_asked(request: Request, data: ImageData) -> Iterator[Teacher | None]:
    """Yield the network of `--teacher`, ready to be learnt from; None without it."""
    if request.teacher is None:
        yield None
        return
    described = _described(data, request.validation)
    with _teacher(request.teacher, described, request.teacher_weight, request.temperature) as teacher:
        yield teacher


@contextlib.contextmanager
def teacher_recorded(config: RunConfig, data: ImageData) -> Iterator[Teacher | None]:
    """Yield the teacher that a run began with; None where it had none."""
    learnt = config.teacher
    if learnt is None:
        yield None
        return
    described = _described(data, config.data.validation_count)
    with _teacher(Path(learnt["run"]), described, learnt["weight"], learnt["temperature"]) as teacher:
        yield teacher


def _described(data: ImageData, validation: int) -> DataFacts:
    from cifar_report.trainer.images import facts

    return replace(facts(data), validation_count=validation)


@contextlib.contextmanager
def _teacher(folder: Path, data: DataFacts, weight: float, temperature: float) -> Iterator[Teacher]:
    from cifar_report.analyzer.load import load_model
    from cifar_report.trainer.run import read_run
    from cifar_report.trainer.teacher import make_teacher

    run = read_run(folder)
    loaded = load_model(run.config.model)
    with loaded.running():
        yield make_teacher(loaded.module, run, data, weight, temperature)
