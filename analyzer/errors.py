"""The errors that a user can cause, each with what to do about it.

Problem             what, where, expected, found, next step; carries its exit code
├── UsageError      2: wrong command, option, file format or data folder
└── ModelError      3: the network could not be loaded or run
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches


class Problem(Exception):
    """Something the user can mend. Printed without a traceback, then the exit code follows.

    Args:
        what: one sentence, what went wrong, and where.
        expected: what would have been right.
        found: what was there instead.
        hint: what to do next.
    """

    exit_code = 2

    def __init__(self, what: str, *, expected: str = "", found: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.expected = expected
        self.found = found
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        for label, text in (("expected", self.expected), ("found", self.found), ("next", self.hint)):
            if text:
                lines.append(f"  {label + ':':<10}{text}")
        return "\n".join(lines)


class UsageError(Problem):
    """The command, an option, a settings file or a data folder is wrong (exit code 2)."""

    exit_code = 2


class ModelError(Problem):
    """The network could not be loaded or run (exit code 3)."""

    exit_code = 3


def did_you_mean(near: Collection[str], otherwise: str = "") -> str:
    """Return the question whether a near name was meant, or what to say where none is near."""
    return f"did you mean {' or '.join(near)}?" if near else otherwise


def refuse_unknown_keys(table: Iterable[str], known: Collection[str], where: str) -> None:
    """Hold the keys of a table against those that it may have.

    Args:
        table: its keys.
        known: all that there are.
        where: what the table is called, such as its file.

    Raises:
        UsageError: a key is none of them.
    """
    for key in table:
        if key not in known:
            raise UsageError(
                f"{where} has an unknown key {key!r}",
                expected=f"one of {', '.join(known)}",
                hint=did_you_mean(get_close_matches(key, known, n=1)),
            )
