"""Listeners that show a run on standard error: a bar on a terminal, a line per epoch elsewhere, or JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from cifar_report.cli.console import talk, talk_console
from cifar_report.trainer.listen import Listener, Step, epoch_line
from cifar_report.trainer.results import Epoch

_REDRAW = 0.1
"""Shortest time between two drawings of the bar [s]."""
_JSON_PACE = 0.5
"""Shortest time between two objects on what isn't complete [s]."""


@contextmanager
def showing(progress: str = "auto") -> Iterator[Listener]:
    """Yield a listener for standard error as it is; a bar is taken away in the end.

    Args:
        progress: `auto`, `plain`, `json` or `none`.
    """
    console = talk_console()
    if progress != "auto" or not console.is_terminal:
        yield {"json": JsonListener, "none": Listener}.get(progress, PlainListener)()
        return
    bar = BarListener(console)
    try:
        yield bar
    finally:
        bar.close()


class JsonListener(Listener):
    """Prints an object per line: `event` is `note`, `work`, `step` (twice a second at most) or `epoch`."""

    def __init__(self) -> None:
        self._begun = time.monotonic()
        self._first: float | None = None
        self._told = 0.0

    def note(self, text: str) -> None:
        """Print it."""
        self._tell("note", {"text": text})

    def work(self, what: str, done: int, total: int) -> None:
        """Print how much is ready."""
        if self._is_time(done == total):
            self._tell("work", {"what": what, "done": done, "total": total})

    def step(self, step: Step) -> None:
        """Print where the training stands, and the seconds that are left at this pace."""
        if self._first is None:
            self._begun, self._first = time.monotonic(), step.done
        if self._is_time(step.step == step.steps):
            passed, share = time.monotonic() - self._begun, step.done - self._first
            left = passed * (1 - step.done) / share if share else None
            self._tell("step", {**asdict(step), "seconds_left": left})

    def epoch(self, epoch: Epoch, epochs: int) -> None:
        """Print what `history.jsonl` has of it."""
        self._tell("epoch", {**asdict(epoch), "epochs": epochs})

    def _is_time(self, last: bool) -> bool:
        now = time.monotonic()
        if not last and now - self._told < _JSON_PACE:
            return False
        self._told = now
        return True

    def _tell(self, event: str, values: dict[str, Any]) -> None:
        talk(json.dumps({"event": event, **values}, allow_nan=False))


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
            f"  {100 * step.data_wait:.0f} % waiting"
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
