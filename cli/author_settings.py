"""The author's header from the nearest pyproject.toml."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_report.analyzer.errors import UsageError

if TYPE_CHECKING:
    from cifar_report.reporter.author import Author


def find_author(folder: Path) -> Author | None:
    """Read `[tool.cifar-report.author]` of the nearest pyproject.toml that has it, in a folder or above.

    Raises:
        UsageError: a file that isn't TOML, or an author that can't be read.
    """
    from cifar_report.reporter.author import read_author

    for parent in (folder, *folder.parents):
        path = parent / "pyproject.toml"
        if not path.is_file():
            continue
        try:
            tool = tomllib.loads(path.read_text(encoding="utf-8")).get("tool", {})
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"can't read {path}", found=str(error)) from error
        table = tool.get("cifar-report", {}) if isinstance(tool, dict) else {}
        if isinstance(table, dict) and "author" in table:
            return read_author(table["author"])
    return None
