"""Options of a training from a TOML file."""

from __future__ import annotations

import tomllib
from pathlib import Path

import click

from cifar_report.analyzer.errors import UsageError, refuse_unknown_keys

NEVER_IN_A_FILE = {"config", "resume", "verbose", "help"}


def read_config(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """Make a TOML file's values the defaults of the options of the same names.

    Raises:
        UsageError: the file can't be read, or has a key in it that is no option.
    """
    if path is None:
        return None
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} can't be read", expected="a TOML file", found=str(error)) from error
    names = {
        option.lstrip("-"): parameter.name
        for parameter in context.command.params
        if parameter.name and parameter.name not in NEVER_IN_A_FILE
        for option in parameter.opts
    }
    chosen = {key.replace("_", "-"): value for key, value in content.items()}
    refuse_unknown_keys(chosen, sorted(names), str(path))
    context.default_map = {names[key]: _as_typed(path, key, value) for key, value in chosen.items()}
    return path


def _as_typed(path: Path, key: str, value: object) -> str | list[str]:
    """Return a value as it would be typed, so that the option's own rules hold."""
    if isinstance(value, list):
        return [str(_as_typed(path, key, item)) for item in value]
    if isinstance(value, str | int | float):
        return str(value)
    raise UsageError(f"{path} has a {type(value).__name__} in {key}", expected="a text, a number or a list")
