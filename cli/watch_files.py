"""Which files a check read, and whether they are still the same.

A process tells of each file that its code opens (Python's audit events), so that siblings, notebooks,
assignments, settings and whatever else a network reads are all known, without a list of what to look for.

They are asked for their state ten times a second. For the handful of files of a network that costs about
a thousandth of a core, and unlike the notices of an operating system it also works on network drives,
mounted folders and files that are replaced instead of written to.
"""

from __future__ import annotations

import importlib.util
import os
import stat
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_POLL = 0.1
_SETTLED = 0.05
_GONE = 1.0
"""Seconds: between two looks; without a change, until a save counts as over; until a file that is gone
counts as deleted. Editors write several times, or delete and create anew."""

_SYSTEM = ("/proc/", "/sys/", "/dev/")
_INSTALLED = tuple(
    {sysconfig.get_path(name) + os.sep for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
_OURS = tuple(str(Path(__file__).parents[1] / room) + os.sep for room in ("analyzer", "cli"))
_WRITING = os.O_WRONLY | os.O_RDWR

State = tuple[object, ...]
"""What is different after a save; empty where there is no such file."""
States = dict[str, State]
"""By absolute path."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A file that a check opened."""

    path: str
    state: State | None
    """When it was opened to be read; None for one that the check itself writes, which isn't watched."""


def state(path: str) -> State:
    """Return what tells a file's versions apart; of a folder, which Python files are in it."""
    try:
        found = os.stat(path)  # noqa: PTH116 - ten times a second
        if stat.S_ISDIR(found.st_mode):
            names = os.listdir(path)  # noqa: PTH208 - names are all it takes
            return tuple(sorted(name for name in names if name.endswith(".py") and name[0] != "."))
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def tell_of_reads(tell: Callable[[Seen], None]) -> None:
    """Tell of the files that are opened in this process from now on, those of libraries aside.

    There is no way to stop it: it is for a process that does one check.
    """
    told: set[str] = set()
    written: set[str] = set()

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        if event != "open":
            return
        path = _own(arguments[0])
        writes = isinstance(arguments[2], int) and bool(arguments[2] & _WRITING)
        if not path or path in written or (path in told and not writes):
            return
        told.add(path)
        if writes:
            written.add(path)
        if writes or os.path.isfile(path):  # noqa: PTH113 - a text, like all paths here
            tell(Seen(path, None if writes else state(path)))

    sys.addaudithook(hear)


def _own(opened: object) -> str:
    """Return the absolute path of what was opened, of bytecode its source's; empty for what isn't watched."""
    if not isinstance(opened, str | bytes | os.PathLike):
        return ""
    path = os.path.abspath(os.fsdecode(opened))  # noqa: PTH100 - links are followed by whoever asks for the state
    if path.endswith(".pyc"):
        with suppress(ValueError):
            path = importlib.util.source_from_cache(path)
    return "" if is_installed(path) or path.startswith((*_OURS, *_SYSTEM)) else path


def is_installed(path: str) -> bool:
    """Return whether a file belongs to Python or to an installed library."""
    return path.startswith(_INSTALLED) or "site-packages" in path or "dist-packages" in path


def changed(states: Mapping[str, State]) -> list[str]:
    """Return the files that aren't what they were."""
    return [path for path, before in states.items() if state(path) != before]


def await_change(states: States) -> list[str]:
    """Wait until files change and the change is over; return them, and leave their new states."""
    while True:
        while not changed(states):
            time.sleep(_POLL)
        _await_end(states)
        found = changed(states)
        if found:
            states.update({path: state(path) for path in found})
            return found


def _await_end(states: States) -> None:
    """Wait until nothing changes any more, and until files that are gone are back or really gone."""
    patience = time.monotonic() + _GONE
    now: States = {}
    while True:
        before, now = now, {path: state(path) for path in states}
        gone = any(states[path] and not now[path] for path in states)
        if now == before and (not gone or time.monotonic() > patience):
            return
        time.sleep(_SETTLED)


def shown(paths: Iterable[str], most: int = 4) -> str:
    """Return the names of a few files, as they are shortest; of folders only where there is nothing else."""
    here = Path.cwd()
    found = [Path(path) for path in sorted(paths)]
    files = [path for path in found if not path.is_dir()] or found
    names = [str(path.relative_to(here) if path.is_relative_to(here) else path) for path in files]
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
