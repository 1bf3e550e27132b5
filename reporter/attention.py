"""Where on an image the network looked for its guess, in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cifar_report.reporter.measured import Look, Measured
from cifar_report.reporter.tables import Column, Table
from cifar_report.reporter.wording import listing, one_line, percent, plural


@dataclass(frozen=True, slots=True)
class Attention:
    """Grad-CAM on right and wrong examples."""

    sentence: str
    looks: Table | None
    """None where nothing was looked at."""


def describe(measured: Measured, classes: Sequence[str]) -> Attention:
    """Turn looks into a sentence and a table."""
    if isinstance(measured.looks, str):
        return Attention(f"Not measured: {measured.looks}.", None)
    right = sum(look.right for look in measured.looks)
    wrong = len(measured.looks) - right
    return Attention(
        f"Grad-CAM at the last map, of {one_line(measured.looked_at)}: which parts of an image speak for the"
        f" class that the network takes it for, on {plural(right, 'training image')} that it gets right and"
        f" {plural(wrong, 'test image')} that it gets wrong. Right examples are of the training split because"
        " runs keep no test images that were classified right.",
        _table(measured.looks, classes) if measured.looks else None,
    )


def words(looks: Sequence[Look], classes: Sequence[str]) -> str:
    """Say of every picture what it is, what it was taken for, and where the heat lies."""
    names = [one_line(name) for name in classes]
    parts = [
        names[look.truth]
        + ("" if look.right else f" taken for {names[look.guess]}")
        + f" ({percent(look.confidence, 1)}), {place(look)}"
        for look in looks
    ]
    return f"Where the network looks, on {plural(len(looks), 'image')}: {listing(parts)}."


def place(look: Look) -> str:
    """Return where the centre of the heat lies: `middle`, `top left`, or `nowhere`."""
    if not look.heat.any():
        return "nowhere"
    row, column = _centre(look.heat)
    words = [("top", "", "bottom")[_third(row)], ("left", "", "right")[_third(column)]]
    return " ".join(filter(None, words)) or "middle"


def _centre(heat: NDArray[np.float64]) -> tuple[float, float]:
    """Return the centre of mass as shares of height and width."""
    high, wide = heat.shape
    rows, columns = heat.sum(axis=1), heat.sum(axis=0)
    down = float((rows * (np.arange(high) + 0.5)).sum() / rows.sum() / high)
    across = float((columns * (np.arange(wide) + 0.5)).sum() / columns.sum() / wide)
    return down, across


def _third(share: float) -> int:
    # Between 40 and 60 % is the middle: centres of mass lie close to it.
    return 0 if share < 0.4 else 2 if share > 0.6 else 1


def _table(looks: Sequence[Look], classes: Sequence[str]) -> Table:
    right = {"right": True}
    return Table(
        "The images looked at",
        (
            Column("Image"),
            Column("Truth"),
            Column("Guess"),
            Column("Confidence", **right),
            Column("Centre of the heat"),
            Column("Image covered", **right),
        ),
        tuple(
            (
                f"test image {look.index:,}" if look.index is not None else "training image",
                one_line(classes[look.truth]),
                one_line(classes[look.guess]),
                percent(look.confidence, 1),
                place(look),
                f"{100 * float((look.heat > 0.5).mean()):.0f} %",
            )
            for look in looks
        ),
    )
