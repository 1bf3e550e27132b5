"""Where a run may be written."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cifar_report.analyzer.errors import UsageError


def check_place(folder: Path, *, overwrite: bool = False) -> None:
    """Make sure that a run can be written to `folder`; leaves nothing behind.

    Raises:
        UsageError: it is a file, can't be written, or holds something already; with `overwrite`, a
            run may lie there.
    """
    if folder.is_dir() and any(folder.iterdir()) and not (overwrite and _is_run(folder)):
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


def _is_run(folder: Path) -> bool:
    return (folder / "config.json").is_file() and (folder / "history.jsonl").is_file()


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


@contextmanager
def appearing_whole(folder: Path) -> Iterator[Path]:
    """Fill the folder that this yields; it becomes `folder` in one step, or vanishes on an error.

    What was in `folder` before is gone then, so `check_place` comes first.

    Raises:
        UsageError: the folder can't be written.
    """
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    before = folder.with_name(f".{folder.name}.{os.getpid()}.before")
    try:
        partial.mkdir(parents=True)
        yield partial
        if folder.exists():
            folder.replace(before)
        partial.replace(folder)
    except OSError as error:
        raise _not_writable(folder, error) from error
    finally:
        for leftover in (partial, before):
            shutil.rmtree(leftover, ignore_errors=True)


def _not_writable(folder: Path, error: OSError) -> UsageError:
    return UsageError(
        f"the output folder {folder} can't be written", found=str(error), hint="choose another with --out"
    )
