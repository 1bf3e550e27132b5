"""What `train` tries without beginning a run: learning one batch by heart, and learning rates."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import prints_to_stderr, rendered, talk, write_result
from cifar_report.cli.finished_runs import begun_with, teacher_asked
from cifar_report.cli.training import goals_of, leads, options_of, slug
from cifar_report.cli.training_request import Request

if TYPE_CHECKING:
    from torch import nn

    from cifar_report.trainer.images import ImageData
    from cifar_report.trainer.listen import Listener
    from cifar_report.trainer.options import Options
    from cifar_report.trainer.rate_sweep import Sweep

ROWS = 20
"""Of the table of a sweep, about."""
UNKNOWN = 4
"""The exit code where no rate can be suggested."""
FILES = ("learning_rate.json", "learning_rate.csv", "learning_rate.svg")


def is_trial(request: Request) -> bool:
    """Return whether no run is asked for."""
    return request.overfit_batch or request.find_rate


def try_out(request: Request) -> int:
    """Try what is asked for, print what came of it, and return the exit code.

    Raises:
        UsageError: an option, the data or the output folder is wrong.
        ModelError: the network can't be loaded, fails, or can't learn a batch.
    """
    name = "--find-lr" if request.find_rate else "--overfit-batch"
    beside = {
        "--overfit-batch": request.overfit_batch and request.find_rate,
        "--seeds": request.seeds,
        "--resume": request.resume,
    }
    if wrong := [option for option, given in beside.items() if given]:
        raise UsageError(f"{name} begins no run, and can't stand beside {', '.join(wrong)}")
    if not leads():
        return 0
    return _find_rate(request) if request.find_rate else _overfit(request)


def _overfit(request: Request) -> int:
    from cifar_report.trainer.overfit import overfit_batch

    with _loaded(request) as (module, data, options, _):
        found = overfit_batch(module, data, options)
    click.echo(
        f"{found.images} images learnt by heart after {found.steps} steps: "
        f"loss {found.first_loss:.4f} at first, {found.last_loss:.4f} now"
    )
    return 0


def _find_rate(request: Request) -> int:
    from cifar_report.trainer.place import check_place, free_place
    from cifar_report.trainer.rate_finder import find_rate

    name = f"lr-{slug(request.data)}-{slug(request.model)}"
    folder = request.out or free_place(Path("runs"), name)
    check_place(folder)
    with _loaded(request) as (module, data, options, listener), teacher_asked(request, data) as teacher:
        found = find_rate(module, data, options, listener, teacher=teacher)
    written = _write(found, folder)
    write_result(_table(found) + "\n" + "\n".join([*_words(found), *map(str, written)]))
    return UNKNOWN if found.suggestion is None else 0


@contextlib.contextmanager
def _loaded(request: Request) -> Iterator[tuple[nn.Module, ImageData, Options, Listener]]:
    """Yield the network, the images, the options, and what listens."""
    import torch

    from cifar_report.analyzer.load import load_model
    from cifar_report.cli.progress import showing
    from cifar_report.trainer.data import load_data

    torch.manual_seed(request.seed)
    loaded = load_model(request.model)
    with showing(request.progress) as listener, prints_to_stderr(), loaded.running():
        data = load_data(request.data, listener)
        start = begun_with(loaded.module, request, data)
        yield loaded.module, data, options_of(request, loaded.name, goals_of(request), start), listener


def _table(found: Sweep) -> str:
    from rich import box
    from rich.table import Table

    marks = {found.lowest: "lowest", found.suggestion: "suggested"}
    every = max(1, len(found.points) // ROWS)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("learning rate", "loss", "smoothed"):
        table.add_column(column, justify="right")
    table.add_column("")
    for index, point in enumerate(found.points):
        mark = marks.get(point.learning_rate, "")
        if mark or index % every == 0:
            table.add_row(f"{point.learning_rate:.3g}", f"{point.loss:.4f}", f"{point.smoothed:.4f}", mark)
    return rendered(table)


def _words(found: Sweep) -> list[str]:
    from cifar_report.trainer.rate_sweep import RULE

    end = f"after {len(found.points)} steps: {found.ended}"
    if found.suggestion is None or found.lowest is None:
        return ["no suggestion: the loss never clearly falls", end]
    return [f"--lr {found.suggestion:.3g}: {RULE} ({found.lowest:.3g})", end]


def _write(found: Sweep, folder: Path) -> list[Path]:
    """Write the sweep, and its picture where matplotlib is installed."""
    from importlib.util import find_spec

    from cifar_report.trainer.atomic import write_json, write_text
    from cifar_report.trainer.place import make_folder

    make_folder(folder)
    data, table, picture = (folder / name for name in FILES)
    write_json(data, found.to_dict())
    write_text(table, found.to_csv())
    if find_spec("matplotlib") is None:
        talk("no picture: it needs matplotlib, pip install 'cifar-report[report]'")
        return [data, table]
    from cifar_report.reporter.rate_chart import rate_svg

    write_text(picture, rate_svg(found))
    return [data, table, picture]
