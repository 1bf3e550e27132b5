"""Where words go: results to standard output or a file, talk to standard error.

Colour follows the terminal and `NO_COLOR`. Away from a terminal a line is `PLAIN_WIDTH` characters, so that
what lands in a pipe or a file doesn't depend on the window that it was started from; `COLUMNS` overrides.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_report.analyzer.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console, RenderableType

PLAIN_WIDTH = 120


def result_console() -> Console:
    """Return a console on standard output, for what the command was asked for."""
    from rich.console import Console

    return Console(width=_width(sys.stdout.isatty()), highlight=False, soft_wrap=False)


def talk_console() -> Console:
    """Return a console on standard error, for progress and remarks."""
    from rich.console import Console

    return Console(stderr=True, width=_width(sys.stderr.isatty()), highlight=False)


def rendered(*parts: RenderableType, width: int = PLAIN_WIDTH) -> str:
    """Return Rich tables and texts as plain text without colour, ending in one newline."""
    from rich.console import Console

    drawn = io.StringIO()
    console = Console(file=drawn, width=width, color_system=None, highlight=False)
    console.print(*parts, sep="\n")
    return "\n".join(line.rstrip() for line in drawn.getvalue().splitlines()).strip("\n") + "\n"


def talk(message: str) -> None:
    """Print a remark to standard error."""
    sys.stderr.write(message.rstrip("\n") + "\n")
    sys.stderr.flush()


@contextlib.contextmanager
def prints_to_stderr() -> Iterator[None]:
    """Keep standard output for results, whatever the network prints in its forward."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def write_result(text: str | bytes, output: Path | None = None) -> None:
    """Write a result to standard output, or to `-o FILE` as a whole or not at all.

    Bytes are a picture's, which goes to a file only.

    Raises:
        UsageError: the file can't be written. What was there before is still there.
    """
    if isinstance(text, str):
        text = text.rstrip("\n") + "\n"
    if output is not None:
        write_file(text, output)
    elif isinstance(text, str):
        sys.stdout.write(text)
        sys.stdout.flush()


def write_file(text: str | bytes, path: Path) -> None:
    """Write beside the file, then rename; links are followed and devices written to directly.

    Raises:
        UsageError: a missing folder, a folder in the file's place, no permission, a full disk.
    """
    content = text.encode() if isinstance(text, str) else text
    target = path.resolve()
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.exists() and not target.is_file() and not target.is_dir():
            target.write_bytes(content)
            return
        if target.is_dir():
            raise IsADirectoryError(21, "it is a folder")
        beside.write_bytes(content)
        if target.exists():
            shutil.copymode(target, beside)
        beside.replace(target)
    except OSError as error:
        hint = "name a file in a folder that exists and may be written to"
        raise UsageError(
            f"can't write {path}", found=(error.strerror or str(error)).lower(), hint=hint
        ) from error
    finally:
        with contextlib.suppress(OSError):
            beside.unlink()


def _width(terminal: bool) -> int | None:
    """Return None, Rich's own choice, on a terminal or where `COLUMNS` says so."""
    return None if terminal or "COLUMNS" in os.environ else PLAIN_WIDTH
