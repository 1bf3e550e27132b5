"""Where a run may be written."""

from __future__ import annotations

import itertools
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.atomic import PARTIAL
from cifar_report.trainer.lock import LOCK_FILE

CONFIG_FILE = "config.json"
REQUEST_FILE = "request.json"
"""There until a run has begun: what else lies beside it is no run yet."""


def check_place(folder: Path, *, overwrite: bool = False) -> None:
    """Make sure that a run can be written to `folder`; leaves nothing behind.

    Raises:
        UsageError: it is a file, can't be written, or holds something already; with `overwrite`, a
            run may lie there.
    """
    if folder.is_dir() and not is_free(folder) and not (overwrite and _is_run(folder)):
        raise UsageError(
            f"the output folder {folder} is not empty",
            expected="a new or empty folder",
            found="a run" if _is_run(folder) else "other files",
            hint="another --out, --overwrite to replace the run, or --resume to go on with it"
            if _is_run(folder)
            else "another --out",
        )
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    try:
        Path(tempfile.mkdtemp(dir=existing)).rmdir()
    except OSError as error:
        raise _not_writable(folder, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, where they don't exist.

    Raises:
        UsageError: it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(folder, error) from error


def is_free(folder: Path) -> bool:
    """Return whether a folder is empty, or was only claimed for a run that never began."""
    names = {path.name for path in folder.iterdir() if not path.name.endswith(PARTIAL)} - {LOCK_FILE}
    return not names or REQUEST_FILE in names


def _is_run(folder: Path) -> bool:
    return (folder / CONFIG_FILE).is_file() and (folder / "history.jsonl").is_file()


def missing_folders(folder: Path) -> tuple[Path, ...]:
    """Return the folder and those above it that don't exist yet, innermost first."""
    return tuple(path for path in (folder, *folder.absolute().parents) if not path.exists())


def remove_empty(folders: tuple[Path, ...]) -> None:
    """Remove the folders that hold nothing, such as those made for a run that came to nothing."""
    for path in folders:
        with suppress(OSError):
            path.rmdir()


def free_place(parent: Path, name: str) -> Path:
    """Return a folder below `parent` that doesn't exist yet: `name`, `name-2`, `name-3` ..."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(parent / candidate for candidate in names if not (parent / candidate).exists())


def _not_writable(folder: Path, error: OSError) -> UsageError:
    return UsageError(
        f"the output folder {folder} can't be written", found=str(error), hint="choose another with --out"
    )
