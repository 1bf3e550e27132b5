"""One process at a time writes a run: a lock on its folder that ends with the process, however that ends."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.listen import Listener

LOCK_FILE = "run.lock"
"""In the run's folder while a process writes it, or after one was killed; says which one."""

_HELD = (errno.EACCES, errno.EAGAIN)


@contextmanager
def locked(folder: Path, listener: Listener) -> Iterator[None]:
    """Hold a run's folder.

    Nothing is held where the file system has no locks, as on some network drives (the listener
    hears of it), and on Windows.

    Raises:
        UsageError: another process holds it, or the folder can't be written.
    """
    if sys.platform == "win32":
        yield
        return
    path = folder / LOCK_FILE
    lock = _take(path, listener)
    try:
        yield
    finally:
        # Removed while it is still held: whoever opened it before sees that and tries again.
        with suppress(OSError):
            path.unlink()
        os.close(lock)


def _take(path: Path, listener: Listener) -> int:
    """Return a descriptor of the lock file, locked; closing it gives the lock back."""
    while True:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise UsageError(f"the run folder {path.parent} can't be written", found=str(error)) from error
        try:
            _lock(lock, path.parent, listener)
            if _is_still(lock, path):
                # On a full disk the lock holds all the same, it only can't say whose it is.
                with suppress(OSError):
                    os.ftruncate(lock, 0)
                    os.write(lock, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
                return lock
        except BaseException:
            os.close(lock)
            raise
        os.close(lock)


def _lock(lock: int, folder: Path, listener: Listener) -> None:
    """Lock a file for this process alone: worker processes that it forks don't inherit such a lock."""
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _HELD:
            listener.note(f"{folder} can't be locked ({error.strerror}): let no other process write it")
            return
        holder = os.read(lock, 200).decode(errors="replace").strip()
        raise UsageError(
            f"{folder} is being written by another process",
            expected="one process at a time",
            found=holder or "its name can't be read",
            hint="wait for it, stop it, or choose another --out",
        ) from error


def _is_still(lock: int, path: Path) -> bool:
    """Return whether the locked file still has its name."""
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False
