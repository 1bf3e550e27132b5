"""A listener that shows a run on standard error: a bar on a terminal, a line per epoch elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cifar_report.cli.console import talk, talk_console
from cifar_report.trainer.listen import Listener, Step, epoch_line
from cifar_report.trainer.records import Epoch

_REDRAW = 0.1
"""Shortest time between two drawings of the bar [s]."""


@contextmanager
def showing() -> Iterator[Listener]:
    """Yield a listener for standard error as it is; a bar is taken away in the end."""
    console = talk_console()
    if not console.is_terminal:
        yield PlainListener()
        return
    bar = BarListener(console)
    try:
        yield bar
    finally:
        bar.close()


class PlainListener(Listener):
    """Prints notes, and one line for every epoch."""

    def note(self, text: str) -> None:
        """Print it."""
        talk(text)

    def work(self, what: str, done: int, total: int) -> None:
        """Print when it is complete."""
        if done == total:
            talk(f"{what}: {total:,} done")

    def epoch(self, epoch: Epoch, epochs: int) -> None:
        """Print its line."""
        talk(epoch_line(epoch, epochs))


class BarListener(Listener):
    """Draws one bar for what goes on, with the time left, above it the finished epochs.

    It draws when it hears something, not from a thread: worker processes are forked meanwhile.
    """

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[figures]}"),
            TimeRemainingColumn(),
            console=console,
            auto_refresh=False,
            transient=True,
        )
        self._task: TaskID | None = None
        self._what = ""
        self._drawn = 0.0

    def close(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def note(self, text: str) -> None:
        """Print it above the bar."""
        self._progress.console.print(text)

    def work(self, what: str, done: int, total: int) -> None:
        """Show how far it is."""
        self._show(what, what, done, total, f"{done:,}/{total:,}")

    def step(self, step: Step) -> None:
        """Show the epoch's figures; the bar and the time left are those of all epochs."""
        done = (step.epoch - 1) * step.steps + step.step
        figures = (
            f"loss {step.loss:.3f}  accuracy {step.accuracy:.1f} %  {step.images_per_second:,.0f} images/s"
        )
        self._show("training", f"epoch {step.epoch}/{step.epochs}", done, step.epochs * step.steps, figures)

    def epoch(self, epoch: Epoch, epochs: int) -> None:
        """Print its line above the bar."""
        self._progress.console.print(epoch_line(epoch, epochs))

    def _show(self, what: str, description: str, done: int, total: int, figures: str) -> None:
        if what != self._what:
            self._begin(what, done, total)
        if self._task is not None:
            self._progress.update(self._task, completed=done, description=description, figures=figures)
        if time.monotonic() - self._drawn >= _REDRAW or done == total:
            self._progress.refresh()
            self._drawn = time.monotonic()

    def _begin(self, what: str, done: int, total: int) -> None:
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._what = what
        self._progress.start()
        self._task = self._progress.add_task(what, completed=done, total=total, figures="")
