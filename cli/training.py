"""What `train` and `train-and-report` share: the way from their options to a run."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import prints_to_stderr, talk
from cifar_report.cli.finished_runs import begun_with, teacher_asked, teacher_recorded
from cifar_report.cli.interruption import interruptible
from cifar_report.cli.training_command import command_of
from cifar_report.cli.training_options import BESIDE_RESUME
from cifar_report.cli.training_request import Request

if TYPE_CHECKING:
    from cifar_report.trainer.claim import Claim
    from cifar_report.trainer.listen import Listener
    from cifar_report.trainer.options import Options
    from cifar_report.trainer.run import Run

NAMED_DATA = ("cifar10", "digits")
EPOCHS = {"digits": 12}
"""Enough for more than 95 % on the digits in about a minute on two cores."""
OTHER_EPOCHS = 20


def run_training(context: click.Context, request: Request) -> Run:
    """Train as the options say, new or resumed; Ctrl-C exits with 130 and says how to go on.

    Of torchrun's processes each does this; the first one writes the run and talks.

    Raises:
        UsageError: an option, the data or the output folder is wrong.
        ModelError: the network can't be loaded, doesn't fit the data, or training fails.
    """
    from cifar_report.cli.progress import showing

    folder = request.resume or request.out
    progress = request.progress if leads() else "none"
    with interruptible(lambda: folder), showing(progress) as listener:
        if request.resume:
            _refuse_beside_resume(context)
            begun = request_of(request.resume)
            if begun is None:
                return resume_run(request.resume, request.workers, listener)
            talk(f"{request.resume}: no epoch was begun, so this is the first")
            return train_run(begun, request.resume, listener)
        folder = folder or _free_folder(request)
        return train_run(request, folder, listener)


def leads() -> bool:
    """Return whether this process is the only one, or the first of torchrun's."""
    return os.environ.get("RANK", "0") == "0"


def _free_folder(request: Request) -> Path:
    from cifar_report.trainer.place import free_place

    if "RANK" in os.environ:
        raise UsageError("torchrun's processes have no folder in common", expected="--out DIR")
    return free_place(Path("runs"), f"{slug(request.data)}-{slug(request.model)}")


def request_of(folder: Path) -> Request | None:
    """Return what a run that was killed before it began was asked for; None where a run has begun.

    Raises:
        UsageError: it can't be read.
    """
    from cifar_report.trainer.place import REQUEST_FILE

    path = folder / REQUEST_FILE
    if not path.is_file():
        return None
    try:
        return Request.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"{path} can't be read", found=str(error), hint="begin the run again with its own command"
        ) from error


def train_run(request: Request, folder: Path, listener: Listener, *, alone: bool = False) -> Run:
    """Train a new run.

    The folder is held before anything slow is imported: from then on, a kill leaves what `--resume` needs.

    Args:
        request: what to train.
        folder: where.
        listener: hears of it.
        alone: also where torchrun has started others beside this process.
    """
    from cifar_report.trainer.claim import Claim, claimed

    if not alone and not leads():
        return _train_in(Claim(folder, {}), request, listener, alone)
    with claimed(folder, listener, overwrite=request.overwrite, request=request.to_dict()) as claim:
        return _train_in(claim, request, listener, alone)


def _train_in(claim: Claim, request: Request, listener: Listener, alone: bool) -> Run:
    import torch

    from cifar_report.analyzer import analyze
    from cifar_report.analyzer.load import load_model
    from cifar_report.trainer.data import load_data
    from cifar_report.trainer.fit import begin
    from cifar_report.trainer.options import choose_device
    from cifar_report.trainer.team import joined

    device = choose_device(request.device)
    goals = goals_of(request)
    torch.manual_seed(request.seed)
    loaded = load_model(request.model)
    if loaded.note:
        talk(loaded.note)
    with prints_to_stderr(), loaded.running(), joined(device, alone=alone) as team:
        data = load_data(request.data, listener)
        height, width, channels = data.train.images.shape[1:]
        analysis = analyze(loaded.module, (channels, height, width), name=loaded.name)
        options = options_of(request, loaded.name, goals, begun_with(loaded.module, request, data))
        with teacher_asked(request, data) as teacher:
            return begin(
                loaded.module, data, options, claim, listener, analysis=analysis, teacher=teacher, team=team
            )


Goals = tuple["dict[str, Any] | None", tuple[str, ...]]


def options_of(request: Request, model: str, goals: Goals, start: dict[str, Any] | None) -> Options:
    """Return what the trainer is asked for; the options that it shares have the same names."""
    from cifar_report.trainer.options import Options

    epochs = request.epochs or EPOCHS.get(request.data, OTHER_EPOCHS)
    shared = {field.name for field in fields(Options)} & {field.name for field in fields(Request)}
    assignment, constraints = goals
    given = {
        "epochs": epochs,
        "model": model,
        "data_source": request.data,
        "start": start,
        "assignment": assignment,
        "constraints": constraints,
        "command": command_of(replace(request, epochs=epochs)),
    }
    return Options(**{name: getattr(request, name) for name in shared} | given)


def goals_of(request: Request) -> Goals:
    """Return the assignment as data, and all constraints in force; a wrong one raises UsageError."""
    from cifar_report.analyzer.assignments import load_assignment
    from cifar_report.analyzer.constraints import parse_constraint

    assignment = load_assignment(request.assignment) if request.assignment else None
    if assignment and request.data in NAMED_DATA and request.data != assignment.data:
        talk(f"{assignment.id} is about {assignment.data}: its accuracy says little about {request.data}")
    for text in request.require:
        parse_constraint(text)
    constraints = (*(assignment.constraints if assignment else ()), *request.require)
    return assignment.to_dict() if assignment else None, constraints


def resume_run(folder: Path, workers: int | None, listener: Listener, *, alone: bool = False) -> Run:
    """Go on with a run that has begun; one that is complete stays as it is."""
    import torch

    from cifar_report.analyzer.load import load_model
    from cifar_report.trainer.data import load_data
    from cifar_report.trainer.fit import resume
    from cifar_report.trainer.run import read_run
    from cifar_report.trainer.team import joined

    run = read_run(folder)
    if run.metrics:
        talk(f"{folder} is complete: {len(run.history)} of {run.config.epochs} epochs")
        return run
    talk(f"{folder}: going on after {len(run.history)} of {run.config.epochs} epochs")
    torch.manual_seed(run.config.seed)
    loaded = load_model(run.config.model)
    with prints_to_stderr(), loaded.running(), joined(run.config.device, alone=alone) as team:
        data = load_data(run.config.data_source, listener)
        with teacher_recorded(run.config, data) as teacher:
            return resume(loaded.module, data, folder, listener, workers=workers, teacher=teacher, team=team)


def _refuse_beside_resume(context: click.Context) -> None:
    """Raise for options that would make another run of the one that is resumed."""
    given = [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name not in BESIDE_RESUME
        and context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    ]
    if given:
        raise UsageError(
            f"--resume goes on with a run as it was begun, without {', '.join(given)}",
            expected="--resume RUN, and --workers if you like",
            hint="leave these out, or begin a new run without --resume",
        )


def slug(text: str) -> str:
    """Return what a folder can be called after a model or a data set."""
    stem = text.rstrip("/").rpartition("/")[2].replace(".py", "")
    return (
        "".join(letter if letter.isalnum() or letter == "_" else "-" for letter in stem).strip("-") or "run"
    )
