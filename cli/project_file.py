"""Where a project says something once: the table `[tool.cifar-report]` of its pyproject.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cifar_report.analyzer.errors import UsageError


def project_tables(folder: Path) -> Iterator[tuple[Path, Any]]:
    """Yield each pyproject.toml with such a table, in a folder and above, nearest first, and the table.

    The table is as it was written: any value may stand in its place. No file is read before it is asked for.

    Raises:
        UsageError: a file that can't be read or isn't TOML.
    """
    for parent in (folder, *folder.parents):
        path = parent / "pyproject.toml"
        if path.is_file():
            tool = _read(path).get("tool")
            if isinstance(tool, dict) and "cifar-report" in tool:
                yield path, tool["cifar-report"]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"can't read {path}", found=str(error)) from error
