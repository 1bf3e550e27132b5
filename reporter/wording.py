"""Figures as words: thousands separators, fixed decimals, and a name for what is absent."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import ReceptiveField

UNKNOWN = "unknown"
"""The figure exists but can't be determined."""
NOT_MEASURED = "not measured"
"""Nothing in the run measured it."""
TIMES = "\N{MULTIPLICATION SIGN}"

# Controls that reorder the text after them: a name with one could turn a whole table row around.
_BIDI_CONTROLS = {*range(0x202A, 0x202F), *range(0x2066, 0x206A), 0x200E, 0x200F, 0x061C}


def one_line(text: str) -> str:
    """Return text without line breaks, control characters and controls of writing direction."""
    kept = (
        " " if character.isspace() else character
        for character in text
        if character.isspace() or unicodedata.category(character) != "Cc"
    )
    return " ".join("".join(c for c in kept if ord(c) not in _BIDI_CONTROLS).split())


def count(value: int | None) -> str:
    """Return `86,816`, or `unknown`."""
    return UNKNOWN if value is None else f"{value:,}"


def percent(value: float | None, decimals: int = 2) -> str:
    """Return `87.23 %`, or `not measured`."""
    return NOT_MEASURED if value is None or not math.isfinite(value) else f"{value:.{decimals}f} %"


def decimal(value: float, decimals: int) -> str:
    """Return a figure with thousands separators and fixed decimals; NaN and infinities by name."""
    return f"{value:,.{decimals}f}" if math.isfinite(value) else str(value)


def millions(value: int | None, unit: str) -> str:
    """Return `19.72 M` and the unit, thousands below a million, or `unknown`."""
    if value is None:
        return UNKNOWN
    if value >= 1_000_000:
        return f"{value / 1e6:,.2f} M{unit}"
    return f"{value / 1e3:,.2f} k{unit}" if value >= 10_000 else f"{value:,} {unit}"


def byte_size(value: int) -> str:
    """Return bytes as kB or MB (1000-based), two decimals."""
    return f"{value / 1e6:,.2f} MB" if value >= 1_000_000 else f"{value / 1e3:,.2f} kB"


def shape(dimensions: Sequence[int] | None) -> str:
    """Return `32 × 16 × 16`; `none` for a layer that returns no tensor."""
    return f" {TIMES} ".join(f"{size:,}" for size in dimensions) if dimensions else "none"


def duration(seconds: float) -> str:
    """Return `1 h 02 min`, `2 min 05 s` or `4.2 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60:,} h {minutes % 60:02d} min"


def extent(values: Sequence[float] | None) -> str:
    """Return a figure per axis, once when all axes agree: `67` or `67 × 31`."""
    if not values:
        return UNKNOWN
    texts = [f"{value:,.10g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else f" {TIMES} ".join(texts)


def field_size(field: ReceptiveField) -> str:
    """Return a receptive field's size in words, without its unit."""
    if field.kind != "local":
        return field.kind
    return extent(field.size) if field.uniform else f"{extent(field.size)} (largest)"


def field_pixels(field: ReceptiveField) -> str:
    """Return a receptive field's size with its unit: `67 px`, `9 px (largest)`, `global` or `unknown`."""
    if field.kind != "local":
        return field.kind
    return f"{extent(field.size)} px" + ("" if field.uniform else " (largest)")


def field_detail(field: ReceptiveField, values: Sequence[float] | None) -> str:
    """Return the stride or start of a local field; global and unknown fields have none."""
    return extent(values) if field.kind == "local" else field.kind


def field_sentence(field: ReceptiveField) -> str:
    """Return a receptive field as a phrase with its unit, and the layer to blame where it isn't local."""
    cause = f" (caused by {one_line(field.cause)})" if field.cause else ""
    if field.kind == "global":
        return f"global: every unit sees the whole image{cause}"
    if field.kind == "unknown":
        return f"unknown{cause}"
    return (
        f"{field_pixels(field)}, stride {extent(field.stride)} px, first centre at {extent(field.start)} px"
    )


def plural(number: int, noun: str, many: str = "") -> str:
    """Return `1 epoch` or `4 epochs`."""
    return f"{number:,} {noun if number == 1 else many or noun + 's'}"


def listing(items: Sequence[str]) -> str:
    """Return `a, b and c`."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else "none"


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return nested settings as `a.b` and text; what is empty is called none."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            rows += flat(value, f"{prefix}{key}.")
        else:
            rows.append((one_line(f"{prefix}{key}"), value_text(value)))
    return rows


def value_text(value: Any) -> str:
    """Return a setting's value on one line: lists by commas, yes and no for booleans."""
    if value is None or value == "" or (isinstance(value, (list, tuple, dict)) and not value):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, (list, tuple)):
        inner = ", ".join(value_text(item) for item in value)
        return f"({inner})"
    return one_line(str(value))
