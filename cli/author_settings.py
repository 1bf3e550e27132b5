"""The author's header from the nearest pyproject.toml."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cifar_report.cli.project_file import project_tables

if TYPE_CHECKING:
    from cifar_report.reporter.author import Author


def find_author(folder: Path) -> Author | None:
    """Read `[tool.cifar-report.author]` of the nearest pyproject.toml that has it, in a folder or above.

    Raises:
        UsageError: a file that isn't TOML, or an author that can't be read.
    """
    from cifar_report.reporter.author import read_author

    for _, table in project_tables(folder):
        if isinstance(table, dict) and "author" in table:
            return read_author(table["author"])
    return None
