"""`cifar-report check --watch`: check again on every save, and say what changed."""

from __future__ import annotations

import time
from pathlib import Path

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import talk, write_result
from cifar_report.cli.judgement import Judgement, Request
from cifar_report.cli.watch_changes import changes
from cifar_report.cli.watch_files import States, await_change, shown
from cifar_report.cli.watch_run import Checked, load_ahead, load_libraries, run


def watch(request: Request, output: Path | None, *, verbose: bool) -> int:
    """Check whenever a file changes that the last check read, until Ctrl-C.

    Args:
        request: as for a single check; settings and assignments are read again each time.
        output: a file that is written anew by each check.
        verbose: print tracebacks of errors.

    Returns:
        The exit code of a check that no save would mend: wrong usage from the start, or no file to save.

    Raises:
        UsageError: all is well, but no file was read that could change.
    """
    load_ahead()
    states: States = {}
    last: Judgement | None = None
    first, told = True, ""
    while True:
        result = run(request, states, verbose=verbose)
        if isinstance(result, Checked):
            write_result(result.judgement.text, output)
            talk(result.judgement.summary)
            if last is not None:
                _tell_changes(last, result.judgement)
            last = result.judgement
        if isinstance(result, int) and (not states or (first and result == UsageError.exit_code)):
            return result
        if result is not None:
            first = False
            watched = _watched(request, states)
            if isinstance(result, Checked):
                load_libraries(result)  # before it says that it watches: from then on no save waits for them
            if watched != told:
                talk(f"watching {watched}; Ctrl-C ends")
            told = watched
        names = shown(await_change(states))
        talk(f"\n{time.strftime('%H:%M:%S')} {names} changed {'-' * max(60 - len(names), 3)}")


def _tell_changes(last: Judgement, result: Judgement) -> None:
    lines = list(changes(last.verdicts, result.verdicts))
    talk("\n".join(["since the last check:", *(f"  {line}" for line in lines)]) if lines
         else "since the last check: no change")  # fmt: skip


def _watched(request: Request, states: States) -> str:
    """Return which files are watched."""
    names = shown(states)
    if not names:
        raise UsageError(
            f"there is no file to watch: {request.model} is part of an installed library",
            hint="leave out --watch, or name a file of your own",
        )
    return names
