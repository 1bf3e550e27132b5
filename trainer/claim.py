"""A folder that is to become a run: held from the first moment, and a run only once it is complete.

`request.json` says what was asked for until the run has begun; a process that is killed before leaves
nothing else to begin again from. `config.json` is written last.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_report.trainer.atomic import write_json
from cifar_report.trainer.listen import Listener
from cifar_report.trainer.lock import LOCK_FILE, locked
from cifar_report.trainer.place import (
    REQUEST_FILE,
    check_place,
    is_free,
    make_folder,
    missing_folders,
    remove_empty,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A folder that this process holds for a new run."""

    folder: Path
    request: Mapping[str, Any]

    @contextmanager
    def filling(self) -> Iterator[Path]:
        """Replace what is in the folder by what is written to it inside; `config.json` comes last."""
        write_json(self.folder / REQUEST_FILE, dict(self.request))
        _clear(self.folder, keep=(REQUEST_FILE, LOCK_FILE))
        yield self.folder
        (self.folder / REQUEST_FILE).unlink()


@contextmanager
def claimed(
    folder: Path, listener: Listener, *, overwrite: bool = False, request: Mapping[str, Any] | None = None
) -> Iterator[Claim]:
    """Hold a folder for a new run. An error before its first epoch is complete leaves no folder.

    A run that is to be replaced stays as it is until the new one begins.

    Args:
        folder: new or empty; with `overwrite`, a run's.
        listener: hears of a file system without locks.
        overwrite: replace the run that lies there.
        request: what to begin again from after a kill, JSON-ready.

    Raises:
        UsageError: the folder can't be written, holds something else, or another process holds it.
    """
    check_place(folder, overwrite=overwrite)
    made = missing_folders(folder)
    make_folder(folder)
    try:
        with locked(folder, listener):
            # Another process may have finished a run there since.
            check_place(folder, overwrite=overwrite)
            claim = Claim(folder, request or {})
            if is_free(folder):
                write_json(folder / REQUEST_FILE, dict(claim.request))
            try:
                yield claim
            except BaseException as error:
                if _came_to_nothing(folder, isinstance(error, Exception)):
                    _clear(folder, keep=(LOCK_FILE,))
                raise
    finally:
        remove_empty(made)


def _came_to_nothing(folder: Path, failed: bool) -> bool:
    """Return whether no run has begun, or one that failed in its first epoch; one that was stopped counts."""
    if (folder / REQUEST_FILE).exists():
        return True
    history = folder / "history.jsonl"
    return failed and history.exists() and not history.stat().st_size


def _clear(folder: Path, keep: tuple[str, ...]) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name not in keep:
            path.unlink()
