"""Tables as values: what Markdown and HTML both print, already in words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading and how its cells are set."""

    title: str
    right: bool = False
    """Figures are set flush right."""
    code: bool = False
    """Names from source code are set in a fixed-width font."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table whose first cell of every row is that row's heading."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    total: tuple[str, ...] | None = None
    """A last row, set apart."""

    @property
    def wide(self) -> bool:
        """Tell whether the table needs narrow lettering to fit on a page."""
        return len(self.columns) > 7

    def __post_init__(self) -> None:
        for row in (*self.rows, *([self.total] if self.total else [])):
            if len(row) != len(self.columns):
                raise ValueError(f"row {row} of table {self.caption!r} needs {len(self.columns)} cells")


def settings(caption: str, rows: list[tuple[str, str]], heading: str = "Setting") -> Table:
    """Return a table of names and values."""
    return Table(caption, (Column(heading), Column("Value")), tuple(rows))
