"""One check of a watch, in a process of its own that ends with it.

The watching process has torch loaded and runs nobody's code. Each check is a fork of it: a few milliseconds
later it has everything loaded that never changes, and nothing of what an earlier version of the user's files
did. It can loop, crash, or be stopped at any time. Where there is no fork (Windows), the process starts anew
and loads torch each time, which takes seconds.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkContext, SpawnContext

from cifar_report.analyzer.errors import ModelError
from cifar_report.cli.console import talk
from cifar_report.cli.judgement import Judgement, Request, judged
from cifar_report.cli.watch_files import Seen, States, changed, is_installed, state, tell_of_reads

_POLL = 0.1
_SLOW = 5.0
"""Seconds: between two looks at the files; until it is said that a check takes long."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check brought."""

    judgement: Judgement
    libraries: tuple[str, ...]
    """Installed modules that it imported, in order."""
    variables: dict[str, str]
    """Of the environment, that it set: libraries may look at them on import."""


def load_ahead() -> None:
    """Import what every check needs, so that no check has to."""
    from rich import box, table, text  # noqa: F401 - drawn with

    from cifar_report.analyzer import assemble, assignments, constraints, load  # noqa: F401 - loads torch
    from cifar_report.models import registry  # noqa: F401 - every check asks it


def load_libraries(checked: Checked) -> None:
    """Import a check's libraries, so that the next one needn't: torchvision alone takes seconds."""
    before = dict(os.environ)
    os.environ.update(checked.variables)
    with redirect_stdout(sys.stderr):
        for name in checked.libraries:
            with suppress(Exception):  # the network's own import says what is wrong
                importlib.import_module(name)
    os.environ.clear()
    os.environ.update(before)


def run(request: Request, states: States, *, verbose: bool) -> Checked | int | None:
    """Check once, and keep `states` to the files that were read.

    Returns:
        what it brought; the exit code of a failure, whose message stands on standard error; None where a
        file was changed before the check was over, which has been stopped then.
    """
    context = _context()
    theirs, ours = context.Pipe(duplex=False)
    process = context.Process(target=_check, args=(request, ours, verbose))
    process.start()
    ours.close()  # so that the end of the process is the end of the pipe
    try:
        result = _followed(theirs, states)
        if isinstance(result, EOFError):
            process.join()
            talk(f"error: the check ended without a result, with code {process.exitcode}")
            return ModelError.exit_code
        return result
    finally:
        process.kill()
        process.join()
        theirs.close()


def _followed(pipe: Connection, states: States) -> Checked | int | EOFError | None:
    """Listen to a check, and look at the files meanwhile."""
    start, told = time.monotonic(), False
    read: States = {}
    while True:
        if not wait([pipe], _POLL):
            if changed(states):
                return None
            if time.monotonic() - start > _SLOW and not told:
                told = True
                talk("still checking; a save starts over, Ctrl-C ends")
            continue
        try:
            message: Seen | Checked | int = pipe.recv()
        except EOFError as end:
            return end
        if isinstance(message, Seen):
            _note(message, read)
            _note(message, states)
            continue
        if isinstance(message, Checked):  # what failed may not have come to all of its files
            for path in states.keys() - read.keys():
                del states[path]
        return message


def _note(seen: Seen, states: States) -> None:
    if seen.state is None:
        states.pop(seen.path, None)
    else:
        states[seen.path] = seen.state


def _context() -> ForkContext | SpawnContext:
    if "fork" in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("fork")
    return multiprocessing.get_context("spawn")


def _check(request: Request, pipe: Connection, verbose: bool) -> None:
    """Check, in the process that is for it, and tell of files and result."""
    from cifar_report.cli.main import explain

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the watch, and the watch ends this
    threading.Thread(target=_end_with_parent, daemon=True).start()
    folders: States = {}
    modules, environment = set(sys.modules), dict(os.environ)

    def tell(seen: Seen) -> None:
        if seen.path.endswith((".py", ".ipynb")):
            folder = os.path.dirname(seen.path)  # noqa: PTH120 - a text, like the path
            folders.setdefault(folder, state(folder))
        pipe.send(seen)

    tell_of_reads(tell)
    try:
        judgement = judged(request)
        libraries = tuple(name for name in sys.modules if name not in modules and _is_installed(name))
        variables = {name: value for name, value in os.environ.items() if environment.get(name) != value}
        pipe.send(Checked(judgement, libraries, variables))
    except Exception as error:
        code = explain(error, verbose=verbose)
        for folder, before in folders.items():  # a module that is missing may be about to come
            pipe.send(Seen(folder, before))
        pipe.send(code)


def _is_installed(name: str) -> bool:
    file = getattr(sys.modules[name], "__file__", None)
    return isinstance(file, str) and is_installed(file)


def _end_with_parent() -> None:
    """End this process when the watch is killed, whatever the network is doing."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
