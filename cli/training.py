"""What `train` and `train-and-report` share: the way from their options to a run."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import talk
from cifar_report.cli.training_options import Request

if TYPE_CHECKING:
    from cifar_report.analyzer.constraints import Verdict
    from cifar_report.trainer.claim import Claim
    from cifar_report.trainer.listen import Listener
    from cifar_report.trainer.run import Run

NAMED_DATA = ("cifar10", "digits")
EPOCHS = {"digits": 12}
"""Enough for more than 95 % on the digits in about a minute on two cores."""
OTHER_EPOCHS = 20

BESIDE_RESUME = {"resume", "workers", "verbose"}
"""What may stand beside `--resume`: the rest is the run's already."""


def run_training(context: click.Context, request: Request) -> Run:
    """Train as the options say, new or resumed; Ctrl-C exits with 130 and says how to go on.

    Raises:
        UsageError: an option, the data or the output folder is wrong.
        ModelError: the network can't be loaded, doesn't fit the data, or training fails.
    """
    from cifar_report.cli.progress import showing

    folder = request.resume or request.out
    with _interruptible(lambda: folder), showing() as listener:
        if request.resume:
            _refuse_beside_resume(context)
            begun = _request_of(request.resume)
            if begun is None:
                return _resume(request.resume, request.workers, listener)
            talk(f"{request.resume}: no epoch was begun, so this is the first")
            return _train(begun, request.resume, listener)
        from cifar_report.trainer.place import free_place

        if folder is None:
            folder = free_place(Path("runs"), f"{_slug(request.data)}-{_slug(request.model)}")
        return _train(request, folder, listener)


def _request_of(folder: Path) -> Request | None:
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


def _train(request: Request, folder: Path, listener: Listener) -> Run:
    """Hold the folder before anything slow is imported: from then on, a kill leaves what `--resume` needs."""
    from cifar_report.trainer.claim import claimed

    with claimed(folder, listener, overwrite=request.overwrite, request=request.to_dict()) as claim:
        return _train_in(claim, request, listener)


def _train_in(claim: Claim, request: Request, listener: Listener) -> Run:
    import torch

    from cifar_report.analyzer import analyze
    from cifar_report.analyzer.constraints import parse_constraint
    from cifar_report.analyzer.coverage_asked import completed
    from cifar_report.analyzer.load import load_model
    from cifar_report.trainer.data import load_data
    from cifar_report.trainer.fit import begin
    from cifar_report.trainer.images import SIDE
    from cifar_report.trainer.options import Options, choose_device

    choose_device(request.device)
    assignment, constraints = _goals(request)
    torch.manual_seed(request.seed)
    loaded = load_model(request.model)
    if loaded.note:
        talk(loaded.note)
    with _prints_to_stderr(), loaded.running():
        shape = (3, SIDE, SIDE)
        analysis = analyze(loaded.module, shape, name=loaded.name)
        analysis = completed(analysis, loaded.module, shape, map(parse_constraint, constraints))
        data = load_data(request.data, listener)
        epochs = request.epochs or EPOCHS.get(request.data, OTHER_EPOCHS)
        options = Options(
            epochs=epochs,
            batch_size=request.batch_size,
            learning_rate=request.lr,
            seed=request.seed,
            device=request.device,
            precision=request.precision,
            workers=request.workers,
            model=loaded.name,
            data_source=request.data,
            assignment=assignment,
            constraints=constraints,
            command=_command(request, epochs),
        )
        return begin(loaded.module, data, options, claim, listener, analysis=analysis)


def _goals(request: Request) -> tuple[dict[str, Any] | None, tuple[str, ...]]:
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


def _resume(folder: Path, workers: int | None, listener: Listener) -> Run:
    import torch

    from cifar_report.analyzer.load import load_model
    from cifar_report.trainer.data import load_data
    from cifar_report.trainer.fit import resume
    from cifar_report.trainer.run import read_run

    run = read_run(folder)
    if run.metrics:
        talk(f"{folder} is complete: {len(run.history)} of {run.config.epochs} epochs")
        return run
    talk(f"{folder}: going on after {len(run.history)} of {run.config.epochs} epochs")
    torch.manual_seed(run.config.seed)
    loaded = load_model(run.config.model)
    with _prints_to_stderr(), loaded.running():
        data = load_data(run.config.data_source, listener)
        return resume(loaded.module, data, folder, listener, workers=workers)


def summary(run: Run) -> str:
    """Return the result in a few lines: accuracy, its count, and a line per constraint."""
    metrics = run.metrics
    if metrics is None:
        raise ValueError(f"{run.folder} is not complete")
    lines = [
        f"test accuracy {metrics.accuracy:.2f} % ({metrics.correct:,} of {metrics.count:,} images), "
        f"last epoch of {metrics.epoch}, {metrics.seconds:.0f} s",
    ]
    if metrics.best_epoch != metrics.epoch:
        lines.append(
            f"best epoch {metrics.best_epoch}: {metrics.best_accuracy:.2f} %, chosen on the test images"
        )
    return "\n".join([*lines, *(_verdict_line(verdict) for verdict in verdicts(run))])


def verdicts(run: Run) -> tuple[Verdict, ...]:
    """Judge a complete run by its constraints."""
    from cifar_report.analyzer.constraints import judge, parse_constraint
    from cifar_report.trainer.measurements import measurements

    if run.metrics is None:
        raise ValueError(f"{run.folder} is not complete")
    constraints = [parse_constraint(text) for text in run.config.constraints]
    return judge(constraints, run.analysis, measurements(run))


def _verdict_line(verdict: Verdict) -> str:
    measured = verdict.measured if verdict.measured is not None else "-"
    margin = f"  margin {verdict.margin}" if verdict.margin is not None else ""
    return f"{verdict.state:<12} {verdict.constraint}  measured {measured}{margin}"


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


@contextlib.contextmanager
def _interruptible(folder: Callable[[], Path | None]) -> Iterator[None]:
    """Exit with 130 on Ctrl-C, and say how to go on; a second Ctrl-C doesn't wait for anything."""

    def farewell() -> None:
        place = folder()
        kept = place is not None and any((place / name).exists() for name in ("state.pt", "request.json"))
        next_step = f"go on with: cifar-report train --resume {place}" if kept else "nothing was written"
        talk(f"stopped; {next_step}")

    def second(number: int, frame: object) -> None:
        farewell()
        os._exit(130)

    def first(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, second)
        raise KeyboardInterrupt

    before = signal.getsignal(signal.SIGINT)
    # Started in the background, a shell lets a process ignore Ctrl-C; so it stays.
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, first)
    try:
        yield
    except KeyboardInterrupt:
        farewell()
        raise click.exceptions.Exit(130) from None
    finally:
        signal.signal(signal.SIGINT, before)


@contextlib.contextmanager
def _prints_to_stderr() -> Iterator[None]:
    """Keep standard output for results, whatever the network prints in its forward."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def _slug(text: str) -> str:
    """Return what a folder can be called after a model or a data set."""
    stem = text.rstrip("/").rpartition("/")[2].replace(".py", "")
    return (
        "".join(letter if letter.isalnum() or letter == "_" else "-" for letter in stem).strip("-") or "run"
    )


def _command(request: Request, epochs: int) -> str:
    """Return a command line that repeats the run, with nothing left to defaults that may change."""
    parts = ["cifar-report", "train", request.model, "--data", request.data, "--epochs", str(epochs)]
    parts += ["--batch-size", str(request.batch_size), "--lr", f"{request.lr:g}", "--seed", str(request.seed)]
    parts += ["--device", request.device, "--precision", request.precision]
    parts += ["--assignment", request.assignment] if request.assignment else []
    for text in request.require:
        parts += ["--require", text]
    return shlex.join(parts)
