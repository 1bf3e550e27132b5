"""Assignments: TOML files that name constraints and say in words what is asked for.

id = "my-course-s7"
title = "Advanced convolutions"
prose = "What the students read."
constraints = ["params < 100k", "rf > 52", "test_accuracy >= 87"]
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any

from cifar_report.analyzer.constraints import parse_constraint
from cifar_report.analyzer.errors import UsageError, did_you_mean, refuse_unknown_keys

_FOLDER = files("cifar_report.analyzer") / "assignments"
_TEXTS = ("id", "title", "course", "prose", "data")
_KEYS = (*_TEXTS, "constraints", "augmentation")
_REQUIRED = ("id", "title", "constraints")
_INPUT_SHAPES = {"cifar10": (3, 32, 32), "mnist": (1, 28, 28)}

_TEMPLATE = """\
# An assignment. Hold a network against it: cifar-report check model.py --assignment THIS_FILE

id = ID
title = "What is asked for, in a few words"
course = ""  # may stay empty
data = "cifar10"  # the data set that it is about

# What the students read.
prose = \"\"\"
Train a network with fewer than 100,000 parameters.
\"\"\"

# One constraint a line; all of them have to hold. Units are k, M and G.
constraints = [
    "params < 100k",
    # "macs <= 40M",
    # "rf > 52",                        # receptive field at the output [px]; rf.before_gap: before pooling
    # "depthwise_separable >= 1",
    # "dilated >= 1",
    # "gap == 1",                       # global average pooling
    # "fc_after_gap == 0",              # nothing fully connected behind it
    # "max_pool == 0",
    # "downsampling.strided_3x3 == 3 or dilated >= 2",
    # "blocks == 4",
    # "layers(Linear) == 0",
    #
    # What only a training run tells:
    # "test_accuracy >= 85",
    # "test_accuracy >= 99.4 sustained 3 epochs",
    # "epochs <= 20",
    # "device == cuda",
    # "augmentation has CoarseDropout(holes=1, height=16, width=16)",
]

# What a training does to its images: transforms of albumentations, in today's spelling or in an older one.
# augmentation = ["HorizontalFlip(p=0.3)", "CoarseDropout(max_holes=1, max_height=16, max_width=16)"]
"""


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a network is asked to do."""

    id: str
    title: str
    course: str
    prose: str
    """In plain words; empty where the file has none."""
    data: str
    """The data set that it is about."""
    constraints: tuple[str, ...]
    augmentation: tuple[str, ...] = ()
    """What a training does to its images, a transform of albumentations each, as the course spells it."""

    @property
    def input_shape(self) -> tuple[int, ...] | None:
        """Shape of the images of its data set, without the batch; None for a data set that isn't known."""
        return _INPUT_SHAPES.get(self.data)

    def to_dict(self) -> dict[str, Any]:
        """Return the assignment as JSON-ready data."""
        return {name: getattr(self, name) for name in self.__slots__}


def assignment_ids() -> tuple[str, ...]:
    """Return the ids of the built-in assignments."""
    return tuple(
        sorted(file.name.removesuffix(".toml") for file in _FOLDER.iterdir() if file.name.endswith(".toml"))
    )


def load_assignment(name: str) -> Assignment:
    """Read a built-in assignment by its id, or a file by its path.

    Raises:
        UsageError: no such assignment, or a file that isn't one, with the key to mend.
    """
    if name in assignment_ids():
        return _parse((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"), name)
    return _parse(_read(name), name)


def assignment_text(name: str) -> str:
    """Return an assignment's TOML as it is written.

    Raises:
        UsageError: as `load_assignment`.
    """
    load_assignment(name)
    if name in assignment_ids():
        return (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    return _read(name)


def template(name: str) -> str:
    """Return a commented file to start an assignment from, which holds as it is."""
    return _TEMPLATE.replace("ID", json.dumps(name))


def _read(name: str) -> str:
    """Return a user's file; one with a byte order mark, as Windows' editors write it, is read too."""
    path = Path(name)
    if path.is_dir():
        raise UsageError(f"{name} is a folder", expected="an assignment's id, or a TOML file")
    if not path.is_file():
        files = [str(file) for file in path.parent.glob("*.toml")]
        near = get_close_matches(name, (*assignment_ids(), *files), n=2)
        hint = did_you_mean(near, f"built in: {', '.join(assignment_ids())}")
        raise UsageError(f"there is no assignment {name!r}, and no such file", hint=hint)
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        found = f"byte {error.object[error.start]:#04x} at {error.start}"
        raise UsageError(f"{name} is not UTF-8", found=found, hint="save it as UTF-8") from error
    except OSError as error:
        raise UsageError(f"can't read {name}", found=(error.strerror or str(error)).lower()) from error


def _parse(text: str, source: str) -> Assignment:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source} is not valid TOML", found=str(error)) from error
    _check_keys(data, source)
    _check_constraints(data["constraints"], source)
    _check_augmentation(data.get("augmentation", []), source)
    return Assignment(
        id=data["id"],
        title=data["title"],
        course=data.get("course", ""),
        prose=data.get("prose", "").strip(),
        data=data.get("data", "cifar10"),
        constraints=tuple(data["constraints"]),
        augmentation=tuple(data.get("augmentation", ())),
    )


def _check_keys(data: dict[str, Any], source: str) -> None:
    """Raise the error that names a key which is unknown, missing, or holds the wrong thing."""
    refuse_unknown_keys(data, _KEYS, source)
    missing = [key for key in _REQUIRED if key not in data]
    if missing:
        raise UsageError(f"{source} lacks {', '.join(missing)}", hint="cifar-report assignments new FILE")
    for key, value in data.items():
        kind, expected = (str, "a text in quotes") if key in _TEXTS else (list, "a list of texts")
        if not isinstance(value, kind):
            found = f"{value!r} ({type(value).__name__})"
            raise UsageError(f"{key} in {source} has the wrong type", expected=expected, found=found)
        if key in _REQUIRED and not (value.strip() if isinstance(value, str) else value):
            hint = "every network would meet it" if key == "constraints" else ""
            raise UsageError(f"{key} in {source} is empty", hint=hint)


def _check_constraints(texts: list[Any], source: str) -> None:
    """Raise the error that points into a constraint which can't be read, or which stands there twice."""
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            found = f"{text!r} ({type(text).__name__})"
            raise UsageError(
                f"constraint {number} in {source} has the wrong type",
                expected="a text, such as 'params < 100k'",
                found=found,
            )
        try:
            parse_constraint(text)
        except UsageError as error:
            raise UsageError(
                f"constraint {number} in {source}: {error.what}", expected=error.expected, hint=error.hint
            ) from error
        if text in texts[: number - 1]:
            raise UsageError(f"constraint {number} in {source} is there already", found=text)


def _check_augmentation(texts: list[Any], source: str) -> None:
    """Raise for a transform that isn't a text; what it says is read where images are augmented."""
    for number, text in enumerate(texts, start=1):
        if not isinstance(text, str):
            raise UsageError(
                f"augmentation {number} in {source} has the wrong type",
                expected="a text, such as 'ToGray(p=0.1)'",
                found=f"{text!r} ({type(text).__name__})",
            )
