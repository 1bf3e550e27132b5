"""How much a figure differs from seed to seed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from cifar_report.trainer.extras import load_extra


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean of a figure over several runs."""

    mean: float
    deviation: float
    """Of the sample, with n - 1."""
    half_width: float
    """Of the mean's 95 % interval."""


def spread(values: Sequence[float]) -> Spread:
    """Return mean, deviation and the 95 % interval by Student's t distribution (Student 1908).

    Raises:
        ValueError: fewer than two values.
    """
    if len(values) < 2:
        raise ValueError("one value has no spread")
    deviation = statistics.stdev(values)
    quantile = float(load_extra("scipy.special", "train").stdtrit(len(values) - 1, 0.975))
    return Spread(statistics.fmean(values), deviation, quantile * deviation / math.sqrt(len(values)))
