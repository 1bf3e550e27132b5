"""How well receptive fields cover what they span: figures beyond size, computed when asked for.

Density is the share of a field from which a path leads to the unit; alignment is whether branches that
are joined look at the same place. `density` and `alignment` say how they are found.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Density:
    """Which share of its field reaches a unit in the middle of a map."""

    share: float | None
    """Of all positions in the field's box, 0 to 1; None where it is unknown."""
    per_axis: tuple[float, ...] = ()
    """Of the rows and of the columns of the box, the share from which any position reaches the unit."""
    size: tuple[int, ...] = ()
    """The box [px]; smaller than the field's size only where the network can't go on beyond the image."""
    visible: float | None = None
    """The same share of positions on the image, within the box of those that reach the unit."""
    cause: str | None = None
    """Why it is unknown."""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Density:
        """Rebuild from `dataclasses.asdict`'s form."""
        return cls(**{**data, "per_axis": tuple(data["per_axis"]), "size": tuple(data["size"])})


@dataclass(frozen=True, slots=True)
class Holes:
    """Where the holes of a field come from."""

    layer: str
    """The last layer that sees no holes in front of it, and makes them."""
    dilations: tuple[str, ...]
    """From there on, of the windows that have any, in order."""
    gap: tuple[int, int] | None
    """How far apart the layer's neighbouring inputs lie, and how much each of them sees [px]; None where
    branches leave holes between them."""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Holes:
        """Rebuild from `dataclasses.asdict`'s form."""
        return cls(data["layer"], tuple(data["dilations"]), data["gap"] and tuple(data["gap"]))


@dataclass(frozen=True, slots=True)
class Join:
    """A place where branches meet whose fields have different centres."""

    layer: str
    branches: tuple[str, ...]
    """The layers that end them."""
    offsets: tuple[tuple[float, ...], ...]
    """By how much each branch's centres lie behind the first branch's, per axis [px of the input]."""

    @property
    def spread(self) -> tuple[float, ...]:
        """How far the centres lie apart, per axis [px]."""
        return tuple([max(axis) - min(axis) for axis in zip(*self.offsets, strict=True)])


@dataclass(frozen=True, slots=True)
class Alignment:
    """How a network's branches meet."""

    compared: int
    """Joins whose branches' fields move over the image."""
    misaligned: tuple[Join, ...]
    unknown: tuple[str, ...]
    """Layers whose branches can't be compared: a field is unknown, or moves unevenly."""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Alignment:
        """Rebuild from `dataclasses.asdict`'s form."""
        joins = [
            Join(row["layer"], tuple(row["branches"]), tuple(map(tuple, row["offsets"])))
            for row in data["misaligned"]
        ]
        return cls(data["compared"], tuple(joins), tuple(data["unknown"]))


@dataclass(frozen=True, slots=True)
class Coverage:
    """Density and alignment of a network's receptive fields."""

    before_gap: Density
    """Of the map that enters the final global pooling; without one, of the last map."""
    output: Density
    alignment: Alignment
    holes: Holes | None = None
    """Where those of the map before global pooling come from; None where it has none."""
    layers: tuple[Density, ...] | None = None
    """Of every layer's output, in the order of `Analysis.layers`; None unless asked for."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and tuples, ready for `json.dumps`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Coverage:
        """Rebuild from `to_dict()` or from parsed JSON."""
        holes, layers = data["holes"], data["layers"]
        return cls(
            before_gap=Density.from_dict(data["before_gap"]),
            output=Density.from_dict(data["output"]),
            alignment=Alignment.from_dict(data["alignment"]),
            holes=holes and Holes.from_dict(holes),
            layers=None if layers is None else tuple([Density.from_dict(row) for row in layers]),
        )
