"""Assignments: TOML files that name constraints and say in words what is asked for.

id = "my-course-s7"
title = "Advanced convolutions"
prose = "What the students read."
constraints = ["params < 100k", "rf > 52", "test_accuracy >= 87"]
"""

from __future__ import annotations

import difflib
import json
import tomllib
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from cifar_report.analyzer.constraints import parse_constraint
from cifar_report.analyzer.errors import UsageError

_FOLDER = files("cifar_report.analyzer") / "assignments"
_KEYS = {"id": str, "title": str, "course": str, "prose": str, "data": str, "constraints": list}
_REQUIRED = ("id", "title", "constraints")

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
    path = Path(name)
    if not path.is_file():
        near = difflib.get_close_matches(name, assignment_ids(), n=2)
        hint = f"did you mean {' or '.join(near)}?" if near else f"built in: {', '.join(assignment_ids())}"
        raise UsageError(f"there is no assignment {name!r}, and no such file", hint=hint)
    try:
        return _parse(path.read_text(encoding="utf-8"), name)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't read {name}: {error}") from error


def assignment_text(name: str) -> str:
    """Return an assignment's TOML as it is written.

    Raises:
        UsageError: as `load_assignment`.
    """
    load_assignment(name)
    if name in assignment_ids():
        return (_FOLDER / f"{name}.toml").read_text(encoding="utf-8")
    return Path(name).read_text(encoding="utf-8")


def template(name: str) -> str:
    """Return a commented file to start an assignment from, which holds as it is."""
    return _TEMPLATE.replace("ID", json.dumps(name))


def _parse(text: str, source: str) -> Assignment:
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{source} is not valid TOML: {error}") from error
    for key, value in data.items():
        if key not in _KEYS:
            raise UsageError(f"{source} has an unknown key {key!r}", expected=f"one of {', '.join(_KEYS)}")
        if not isinstance(value, _KEYS[key]):
            found = type(value).__name__
            raise UsageError(
                f"{key} in {source} has the wrong type", expected=_KEYS[key].__name__, found=found
            )
    missing = [key for key in _REQUIRED if key not in data]
    if missing:
        raise UsageError(
            f"{source} lacks {', '.join(missing)}", hint="see `cifar-report assignments show ID`"
        )
    for constraint in data["constraints"]:
        if not isinstance(constraint, str):
            raise UsageError(
                f"constraints in {source} has {constraint!r}", expected="texts, such as 'params < 100k'"
            )
        parse_constraint(constraint)
    return Assignment(
        id=data["id"],
        title=data["title"],
        course=data.get("course", ""),
        prose=data.get("prose", "").strip(),
        data=data.get("data", "cifar10"),
        constraints=tuple(data["constraints"]),
    )
