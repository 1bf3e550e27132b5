"""The errors that a user can cause, each with what to do about it.

Problem             what, where, expected, found, next step; carries its exit code
├── UsageError      2: wrong command, option, file format or data folder
└── ModelError      3: the network could not be loaded or run
"""

from __future__ import annotations


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
