"""`train --seeds 0-4`: one run for each seed, and what they have in common."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import talk
from cifar_report.cli.interruption import interruptible
from cifar_report.cli.training import request_of, resume_run, train_run
from cifar_report.cli.training_request import Request
from cifar_report.cli.training_result import verdicts

if TYPE_CHECKING:
    from cifar_report.analyzer.constraints import Verdict
    from cifar_report.trainer.run import Run

PLAN_FILE = "seeds.json"
"""In the folder of several runs: what was asked for, which seeds, and in the end their results."""


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of `0-4`, `7` or `0,3,8-9`, in order, each once.

    Raises:
        UsageError: it can't be read, or is a single one.
    """
    parts = [re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip()) for part in text.split(",")]
    seeds: set[int] = set()
    for part in parts:
        if part is None:
            raise UsageError(f"--seeds {text} can't be read", expected="such as 0-4 or 0,3,7-9")
        first, last = int(part[1]), int(part[2] or part[1])
        seeds |= set(range(first, last + 1))
    if len(seeds) < 2:
        raise UsageError(f"--seeds {text} names {len(seeds)}", expected="two seeds or more, else --seed")
    return tuple(sorted(seeds))


def several(request: Request) -> bool:
    """Return whether a request is for several runs, or to go on with them."""
    return bool(request.seeds) or (request.resume is not None and (request.resume / PLAN_FILE).is_file())


def run_seeds(request: Request) -> tuple[Verdict, ...]:
    """Train a run for each seed that this process is to take, and print their results once all are there.

    Of torchrun's processes each takes every nth seed; runs that are complete stay as they are.

    Raises:
        UsageError: seeds, options or the folder are wrong.
    """
    from cifar_report.cli.progress import showing

    folder = request.resume or request.out or Path("runs") / "seeds"
    with interruptible(lambda: folder), showing(request.progress) as listener:
        asked = _planned(folder) if request.resume else _plan(request, folder)
        rank, size = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        seeds = parse_seeds(asked.seeds or "")
        for seed in seeds[rank::size]:
            place = folder / f"seed-{seed}"
            one = replace(asked, seed=seed, seeds=None, out=place, resume=None)
            talk(f"seed {seed}")
            if (place / "config.json").exists() and request_of(place) is None:
                resume_run(place, request.workers, listener, alone=True)
            else:
                train_run(one, place, listener, alone=True)
    return _together(folder, seeds)


def _plan(request: Request, folder: Path) -> Request:
    """Write down what is to be run; the same request may be begun by several processes at once."""
    from cifar_report.trainer.atomic import write_json
    from cifar_report.trainer.place import check_place, make_folder

    parse_seeds(request.seeds or "")
    plan = json.loads(json.dumps({"request": {**request.to_dict(), "workers": None}}))
    if (folder / PLAN_FILE).is_file() and _read(folder)["request"] == plan["request"]:
        return request
    check_place(folder)
    make_folder(folder)
    write_json(folder / PLAN_FILE, plan)
    return request


def _planned(folder: Path) -> Request:
    try:
        return Request.from_dict(_read(folder)["request"])
    except (TypeError, KeyError) as error:
        raise UsageError(f"{folder / PLAN_FILE} can't be read", found=str(error)) from error


def _read(folder: Path) -> dict[str, dict[str, object]]:
    path = folder / PLAN_FILE
    try:
        content: dict[str, dict[str, object]] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read", found=str(error)) from error
    return content


def _together(folder: Path, seeds: tuple[int, ...]) -> tuple[Verdict, ...]:
    """Print and write the results of all seeds; nothing while other processes still train some."""
    from cifar_report.trainer.atomic import write_json
    from cifar_report.trainer.run import read_run
    from cifar_report.trainer.spread import spread

    places = [folder / f"seed-{seed}" for seed in seeds]
    if not all((place / "metrics.json").exists() for place in places):
        talk(f"{folder}: other seeds are still to come")
        return ()
    runs = [read_run(place) for place in places]
    accuracies = [run.metrics.accuracy for run in runs if run.metrics]
    found = spread(accuracies)
    results = {
        "seeds": seeds,
        "test_accuracy": accuracies,
        "mean": found.mean,
        "half_width": found.half_width,
    }
    write_json(folder / PLAN_FILE, {**_read(folder), "results": {**results, "deviation": found.deviation}})
    for seed, run in zip(seeds, runs, strict=True):
        click.echo(_line(seed, run))
    click.echo(
        f"test accuracy {found.mean:.2f} % ± {found.half_width:.2f}: mean of {len(seeds)} seeds and its 95 % "
        f"interval; standard deviation {found.deviation:.2f}"
    )
    click.echo(folder)
    return tuple(verdict for run in runs for verdict in verdicts(run))


def _line(seed: int, run: Run) -> str:
    if run.metrics is None:
        raise ValueError(f"{run.folder} is not complete")
    return f"seed {seed}: {run.metrics.accuracy:.2f} % of {run.metrics.count:,} test images"
