"""Where a run's augmentation comes from: an assignment, a file of the user's, or what suits the data."""

from __future__ import annotations

import ast
import os
import runpy
import sys
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cifar_report.analyzer.assignments import load_assignment
from cifar_report.analyzer.errors import Problem, UsageError
from cifar_report.trainer.augment import ASSIGNMENT, Pipeline, finished, pipeline_of_texts
from cifar_report.trainer.augment_library import build, load_albumentations, refuse_ignored, walk
from cifar_report.trainer.augment_spelling import Call, meant, parse_call
from cifar_report.trainer.records import DataFacts

NONE = "none"
"""What to say for no augmentation."""

_OF_DATA = {
    "mnist": (
        "ShiftScaleRotate(shift_limit=0.08, scale_limit=0.1, rotate_limit=10, "
        "border_mode=cv2.BORDER_CONSTANT, p=0.5)",
    )
}
"""What suits a data set where nobody says anything; else it is `ASSIGNMENT`."""

_NAMES = ("augmentation", "train_transform", "train_transforms", "transform", "transforms", "pipeline")
"""What a file's pipeline is called where it has several."""


def load_pipeline(
    source: str, data: DataFacts, *, mirror: bool = True, assignment: Mapping[str, Any] | None = None
) -> Pipeline:
    """Return the augmentation for a data set.

    Args:
        source: `none`, an assignment's id or TOML file, a Python file as `FILE.py` or `FILE.py:NAME`, or
            empty for the run's assignment, or else for what suits the data.
        data: of `images.facts`.
        mirror: False where a mirrored image is another sign.
        assignment: the run's, of which `augmentation` counts.

    Raises:
        UsageError: no such source, or albumentations would refuse or ignore a part of it.
    """
    if source == NONE:
        return pipeline_of_texts((), data)
    path, _, name = source.partition(":")
    if path.endswith(".py"):
        return _of_object(*_from_file(Path(path), name), data, Path(path))
    texts = _texts(source, assignment)
    return pipeline_of_texts(texts or _OF_DATA.get(data.name, ASSIGNMENT), data, mirror=mirror)


def _texts(source: str, assignment: Mapping[str, Any] | None) -> Sequence[str]:
    if not source:
        return tuple((assignment or {}).get("augmentation", ()))
    found = load_assignment(source)
    if not found.augmentation:
        raise UsageError(
            f"assignment {found.id} says nothing about augmentation",
            expected='a list in it: augmentation = ["HorizontalFlip(p=0.3)"]',
        )
    return found.augmentation


def _from_file(path: Path, name: str) -> tuple[str, Any]:
    """Run a file and return its pipeline with its name.

    Raises:
        UsageError: there is no such file or name, it fails, or it has no pipeline, or several.
    """
    if not path.is_file():
        raise UsageError(f"there is no file {path}", expected="a Python file with an A.Compose")
    # Before the file imports it.
    os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
    sys.path.insert(0, str(path.parent.absolute()))
    try:
        with warnings.catch_warnings():
            # What these say is found again in the pipeline, and refused there.
            warnings.filterwarnings("ignore", "(Argument\\(s\\)|ShiftScaleRotate is a special)", UserWarning)
            content = runpy.run_path(str(path))
    except Problem:
        raise
    # The file is the user's code and may raise anything.
    except Exception as error:
        raise UsageError(f"{path} fails", found=f"{type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent.absolute()))
    found = {key: value for key, value in content.items() if _is_pipeline(value)}
    if name:
        if name not in content:
            raise UsageError(f"{path} has no {name}", expected=f"one of {', '.join(found) or 'none'}")
        return name, content[name]
    chosen = [key for key in _NAMES if key in found] or list(found)
    if not chosen or (len(found) > 1 and chosen[0] not in _NAMES):
        raise UsageError(
            f"{path} has {'several pipelines' if found else 'no pipeline'}",
            expected="an A.Compose, or a list of texts such as 'HorizontalFlip(p=0.3)'",
            found=", ".join(found) or "none",
            hint=f"name one: {path}:NAME",
        )
    return chosen[0], found[chosen[0]]


def _is_pipeline(value: Any) -> bool:
    library = load_albumentations()
    if isinstance(value, list | tuple) and value:
        return all(isinstance(item, library.BasicTransform) or _is_text(item) for item in value)
    return isinstance(value, library.Compose)


def _is_text(item: Any) -> bool:
    return isinstance(item, str) and item.rstrip().endswith(")") and "(" in item


def _of_object(name: str, value: Any, data: DataFacts, path: Path) -> Pipeline:
    library = load_albumentations()
    if callable(value) and not isinstance(value, library.Compose):
        value = value()
    if isinstance(value, list | tuple) and all(_is_text(item) for item in value):
        return pipeline_of_texts(value, data)
    compose = library.Compose(list(value)) if isinstance(value, list | tuple) else value
    if not isinstance(compose, library.Compose):
        raise UsageError(
            f"{name} in {path} is no pipeline", expected="an A.Compose", found=type(compose).__name__
        )
    try:
        refuse_ignored(compose)
    except UsageError as error:
        ignored = {argument for part in walk(compose) for argument in getattr(part, "invalid_args", [])}
        error.hint = _instead(path, ignored) or "look the transform's arguments up"
        raise
    return Pipeline(finished(compose, data))


def _instead(path: Path, ignored: set[str]) -> str:
    """Return how the calls in a file that say what is ignored are written today; empty if that is unknown."""
    lines = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Call) or not ignored & {word.arg for word in node.keywords}:
            continue
        try:
            call = meant(parse_call(ast.unparse(node)))
            build(call.name, call.arguments)
        except UsageError:
            continue
        lines.append(f"line {node.lineno}: A.{Call(call.name, call.arguments)}")
    return "write " + "; ".join(lines) if lines else ""
