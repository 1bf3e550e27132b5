"""Where a run may be written."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cifar_report.analyzer.errors import UsageError


def check_place(folder: Path) -> None:
    """Make sure that a run can be written to `folder`; leaves nothing behind.

    Raises:
        UsageError: it is a file, holds something already, or can't be written.
    """
    if folder.is_dir() and any(folder.iterdir()):
        is_run = (folder / "config.json").exists()
        raise UsageError(
            f"the output folder {folder} is not empty",
            expected="a new or empty folder",
            found="a run" if is_run else "other files",
            hint=f"another --out, or --resume {folder} to go on with it" if is_run else "another --out",
        )
    existing = next(path for path in (folder, *folder.absolute().parents) if os.path.lexists(path))
    try:
        Path(tempfile.mkdtemp(dir=existing)).rmdir()
    except OSError as error:
        raise _not_writable(folder, error) from error


def free_place(parent: Path, name: str) -> Path:
    """Return a folder below `parent` that doesn't exist yet: `name`, `name-2`, `name-3` ..."""
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(parent / candidate for candidate in names if not (parent / candidate).exists())


@contextmanager
def appearing_whole(folder: Path) -> Iterator[Path]:
    """Fill the folder that this yields; it becomes `folder` in one step, or vanishes on an error.

    Raises:
        UsageError: the folder can't be written.
    """
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        yield partial
        partial.replace(folder)
    except OSError as error:
        raise _not_writable(folder, error) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _not_writable(folder: Path, error: OSError) -> UsageError:
    return UsageError(
        f"the output folder {folder} can't be written", found=str(error), hint="choose another with --out"
    )
