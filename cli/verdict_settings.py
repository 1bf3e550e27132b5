"""Settings for `check`: the table `[tool.cifar-report]` of a project's pyproject.toml.

[tool.cifar-report]
model = "model.py:Net"
input = "3,32,32"              # or a list, one for each argument
assignment = "eva6-s7-late"
require = ["params < 100k", "layers(Linear) == 0"]
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_report.analyzer.errors import UsageError, refuse_unknown_keys
from cifar_report.cli.project_file import project_tables

_TABLE = "[tool.cifar-report]"
_KEYS = ("model", "input", "assignment", "require", "author")
"""`author` is for reports, which read it themselves."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a project says once instead of with every call; empty where it says nothing."""

    source: str = ""
    """Which file it is from."""
    model: str = ""
    inputs: tuple[str, ...] = ()
    assignment: str = ""
    require: tuple[str, ...] = ()


def read_settings(folder: Path) -> Settings:
    """Read the settings of the nearest pyproject.toml with such a table, in a folder or above.

    Raises:
        UsageError: a file that isn't TOML, an unknown key, a value of the wrong type.
    """
    nearest = next(project_tables(folder), None)
    return _settings(*nearest) if nearest else Settings()


def _settings(path: Path, table: Any) -> Settings:
    if not isinstance(table, dict):
        raise UsageError(f"{_TABLE} in {path} is no table", found=type(table).__name__)
    refuse_unknown_keys(table, _KEYS, f"{_TABLE} in {path}")
    shapes = table.get("input", [])
    return Settings(
        source=str(path),
        model=_text(path, table, "model"),
        inputs=(shapes,) if isinstance(shapes, str) else _texts(path, table, "input"),
        assignment=_text(path, table, "assignment"),
        require=_texts(path, table, "require"),
    )


def _text(path: Path, table: dict[str, Any], key: str) -> str:
    value = table.get(key, "")
    if not isinstance(value, str):
        raise _wrong_type(path, key, "a text", value)
    return value


def _texts(path: Path, table: dict[str, Any], key: str) -> tuple[str, ...]:
    values = table.get(key, [])
    if not isinstance(values, list):
        raise _wrong_type(path, key, "a list of texts", values)
    for value in values:
        if not isinstance(value, str):
            raise _wrong_type(path, key, "a list of texts", value)
    return tuple(values)


def _wrong_type(path: Path, key: str, expected: str, value: Any) -> UsageError:
    return UsageError(
        f"{key} of {_TABLE} in {path} has the wrong type",
        expected=expected,
        found=f"{value!r} ({type(value).__name__})",
    )
