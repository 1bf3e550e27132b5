"""Files that are either the old ones or the new ones, never a part of either."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside its place and rename it there, so that a kill leaves no half of it.

    Raises:
        OSError: the folder can't be written, or the disk is full; the old file is as it was.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text as `write_bytes` does."""
    write_bytes(path, text.encode())


def write_json(path: Path, data: dict[str, Any]) -> None:
    """Write JSON as `write_bytes` does; NaN and infinity are refused, since JSON has neither."""
    write_text(path, json.dumps(data, indent=1, allow_nan=False) + "\n")
