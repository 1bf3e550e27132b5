"""Libraries that only some commands need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from cifar_report.analyzer.errors import UsageError


def load_extra(module: str, extra: str) -> Any:
    """Import a library that an extra of this package brings.

    Raises:
        UsageError: it is not installed; names the extra.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        if error.name != library:
            raise
        raise UsageError(
            f"{library} is needed for this and not installed",
            hint=f"pip install 'cifar-report[{extra}]'",
        ) from error
