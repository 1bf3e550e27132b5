"""A sweep of the learning rate: from one that does nothing to one that breaks the training.

Source: Smith, "Cyclical Learning Rates for Training Neural Networks", 2015 (arXiv 1506.01186), section 3.3.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

LOWEST, HIGHEST = 1e-6, 10.0
STEPS = 200
HALF_WINDOW = 5
"""Points on each side that a smoothed loss is the mean of."""
EXPLODED = 4.0
"""Times the lowest smoothed loss at which a sweep ends."""
CLEAR = 2.0
"""A loss has fallen where it did so by this many standard deviations around its smoothed self."""
RULE = (
    "the rate at which the smoothed loss falls most steeply per decade, of the rates up to that with the "
    "lowest smoothed loss"
)


@dataclass(frozen=True, slots=True)
class Point:
    """One step of a sweep."""

    learning_rate: float
    loss: float
    """On the next batch, after a step at this rate."""
    smoothed: float
    """Mean of the losses around it, as many on each side; at the ends, fewer."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """The losses after steps at rising rates, and the rate to take."""

    points: tuple[Point, ...]
    suggestion: float | None
    """By `RULE`; None where the loss never clearly falls."""
    lowest: float | None
    """Where the smoothed loss is lowest; None with `suggestion`."""
    ended: str
    """Why it went no further."""

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready data."""
        return {**asdict(self), "rule": RULE}

    def to_csv(self) -> str:
        """Return a header and a row per point."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        names = [field.name for field in fields(Point)]
        writer.writerow(names)
        writer.writerows([getattr(point, name) for name in names] for point in self.points)
        return text.getvalue()


def rates(lowest: float = LOWEST, highest: float = HIGHEST, steps: int = STEPS) -> list[float]:
    """Return rates that rise by the same factor from one to the next."""
    return [float(rate) for rate in np.geomspace(lowest, highest, steps)]


def sweep(step: Callable[[float], float], chosen: Sequence[float]) -> Sweep:
    """Take a step at each rate, until the loss explodes or isn't finite.

    Args:
        step: takes one at a rate and returns the loss after it.
        chosen: of `rates`.
    """
    losses: list[float] = []
    lowest, ended = math.inf, "the highest rate was reached"
    for rate in chosen:
        loss = step(rate)
        if not math.isfinite(loss):
            ended = f"the loss is {loss} after a step at {rate:.3g}"
            break
        losses.append(loss)
        if len(losses) > 2 * HALF_WINDOW:
            mean = sum(losses[-2 * HALF_WINDOW - 1 :]) / (2 * HALF_WINDOW + 1)
            lowest = min(lowest, mean)
            if mean > EXPLODED * lowest:
                ended = f"at {rate:.3g} the smoothed loss is more than {EXPLODED:g} times its lowest"
                break
    means = smoothed(losses)
    points = tuple(Point(*row) for row in zip(chosen, losses, means, strict=False))
    return Sweep(points, *_suggest(points), ended)


def smoothed(losses: Sequence[float]) -> list[float]:
    """Return means over windows that lie evenly around each loss, so that nothing is shifted."""
    last = len(losses) - 1
    halves = [min(HALF_WINDOW, index, last - index) for index in range(len(losses))]
    return [
        sum(losses[index - half : index + half + 1]) / (2 * half + 1) for index, half in enumerate(halves)
    ]


def _suggest(points: Sequence[Point]) -> tuple[float | None, float | None]:
    """Return the rate by `RULE` and that of the lowest loss."""
    if len(points) <= 2 * HALF_WINDOW:
        return None, None
    lowest = min(range(len(points)), key=lambda index: points[index].smoothed)
    before = points[: lowest + 1]
    noise = math.sqrt(sum((point.loss - point.smoothed) ** 2 for point in before) / len(before))
    fallen = sum(point.loss for point in points[:HALF_WINDOW]) / HALF_WINDOW - points[lowest].smoothed
    if lowest < 2 or fallen <= CLEAR * noise:
        return None, None
    decades = np.log10([point.learning_rate for point in before])
    slopes = np.gradient(np.array([point.smoothed for point in before]), decades)
    return before[int(slopes.argmin())].learning_rate, before[-1].learning_rate
