"""Files that are either the old ones or the new ones, never a part of either."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any

from cifar_report.analyzer.errors import UsageError

PARTIAL = ".partial"


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it there, so that a kill leaves no half of it.

    Raises:
        UsageError: the folder can't be written, or the disk is full; the old file is as it was.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}{PARTIAL}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise UsageError(
            f"{path} can't be written",
            found=error.strerror or str(error),
            hint="make room or give access; a run that has begun goes on with --resume",
        ) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def remove_partial(folder: Path) -> None:
    """Remove what a kill left of files that were being written."""
    for path in folder.glob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write JSON as `write_bytes` does; NaN and infinity are refused, since JSON has neither."""
    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")
