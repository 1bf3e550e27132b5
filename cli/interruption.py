"""What Ctrl-C does to a training."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from cifar_report.cli.console import talk


@contextlib.contextmanager
def interruptible(folder: Callable[[], Path | None]) -> Iterator[None]:
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
