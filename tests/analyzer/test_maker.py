"""Values from a maker are the class's own: equal, frozen, and as good to copy."""

from __future__ import annotations

import pickle
from dataclasses import FrozenInstanceError, dataclass, field, replace

import pytest

from cifar_report.analyzer.maker import maker


@dataclass(frozen=True, slots=True)
class Point:
    x: int
    y: int = 2
    names: list[str] = field(default_factory=list)


make = maker(Point)


def test_made_values_are_the_class_s_own() -> None:
    made = make(1, 3, ["a"])
    assert type(made) is Point
    assert made == Point(1, 3, ["a"])
    assert repr(made) == repr(Point(1, 3, ["a"]))
    assert replace(made, x=5) == Point(5, 3, ["a"])
    assert pickle.loads(pickle.dumps(made)) == made


def test_defaults_hold_and_are_not_shared() -> None:
    first, second = make(1), make(x=1)
    assert first == second == Point(1)
    assert first.names is not second.names


def test_made_values_are_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        make(1).x = 2  # what must not work
    with pytest.raises(FrozenInstanceError):
        del make(1).x
