"""albumentations, imported so that it asks nobody anything; its transforms, built so that none drops any."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

from cifar_report.analyzer.errors import UsageError, did_you_mean
from cifar_report.trainer.extras import load_extra

_HARMLESS = "is a special case of Affine"
"""A warning that changes nothing."""


def load_albumentations() -> Any:
    """Import albumentations without its question to the package index whether it is out of date.

    Raises:
        UsageError: it is not installed.
    """
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    return load_extra("albumentations", "train")


def build(name: str, arguments: Mapping[str, Any]) -> Any:
    """Return the transform of that name with exactly these arguments.

    Raises:
        UsageError: albumentations has no such transform, refuses a value, or would ignore an argument.
    """
    library = load_albumentations()
    made = getattr(library, name, None)
    if not isinstance(made, type) or not issubclass(made, library.BasicTransform):
        from cifar_report.analyzer.augmentation import TRANSFORMS

        hint = did_you_mean(get_close_matches(name, TRANSFORMS, n=2))
        raise UsageError(f"albumentations has no transform {name}", hint=hint)
    with _strictly():
        try:
            transform = made(**arguments)
            refuse_ignored(transform)
        except (ValueError, TypeError) as error:
            raise UsageError(f"albumentations refuses {name}", found=_short(error)) from error
    return transform


@contextmanager
def _strictly() -> Iterator[None]:
    """Refuse what albumentations only warns of: after such a warning a transform may have none of its values.

    Raises:
        UsageError: it warned.
    """
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        yield
    for warning in heard:
        if issubclass(warning.category, UserWarning) and _HARMLESS not in str(warning.message):
            raise UsageError("albumentations would not take a transform as it is", found=str(warning.message))


def refuse_ignored(transform: Any) -> None:
    """Raise for arguments that albumentations dropped, in a transform or in those within it."""
    for part in walk(transform):
        if ignored := getattr(part, "invalid_args", []):
            name = type(part).__name__
            known = [key for key in part.get_transform_init_args_names() if key != "always_apply"]
            raise UsageError(
                f"{name} would ignore {', '.join(ignored)}",
                expected=f"some of {', '.join(known)}",
                found=", ".join(ignored),
            )


def walk(transform: Any) -> Iterator[Any]:
    """Yield a transform and, of a composition, those within it."""
    yield transform
    inner = getattr(transform, "transforms", ())
    for part in inner.values() if isinstance(inner, dict) else inner:
        yield from walk(part)


def _short(error: Exception) -> str:
    """Return pydantic's lines without its links."""
    lines = [line.strip() for line in str(error).splitlines() if "errors.pydantic.dev" not in line]
    return "; ".join(lines[1:] if len(lines) > 1 else lines)
