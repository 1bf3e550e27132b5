"""The learning rate of each step, a share of the peak."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

ONE_CYCLE_START = 1 / 25
"""First learning rate of one-cycle, as a share of the peak."""
ONE_CYCLE_END = ONE_CYCLE_START / 1e4
"""Last learning rate of one-cycle, as a share of the peak."""
WARM_UP = {"one-cycle": 0.3, "cosine": 0.0, "step": 0.0, "constant": 0.0}
"""Share of the steps in which the learning rate rises, where no other is asked for."""

SCHEDULES = tuple(WARM_UP)


def rate(step: int, steps: int, schedule: dict[str, Any]) -> float:
    """Return the learning rate of a step, counted from 0 over all epochs.

    Args:
        step: 0 to `steps - 1`.
        steps: of the whole training.
        schedule: of `RunConfig`: `name`, `peak`, `warm_up`, and for `step` also `factor` and `times`.
    """
    shape = _SHAPES[schedule["name"]]
    # Runs of version 1 recorded no warm-up: theirs was one-cycle's.
    warm_up = schedule.get("warm_up", WARM_UP[schedule["name"]])
    peak: float = schedule["peak"]
    return peak * shape(step, steps, warm_up, schedule)


def one_cycle(step: int, steps: int, warm_up: float, _: dict[str, Any]) -> float:
    """Rise and fall, both along cosines.

    Source: Smith and Topin, "Super-Convergence", 2017 (arXiv 1708.07120), in the two-phase form
    with the shares of `torch.optim.lr_scheduler.OneCycleLR`.
    """
    top = warm_up * steps - 1
    if step <= top:
        return _between(ONE_CYCLE_START, 1.0, step / top) if top else 1.0
    return _between(1.0, ONE_CYCLE_END, (step - max(top, 0)) / max(steps - 1 - max(top, 0), 1))


def cosine(step: int, steps: int, warm_up: float, _: dict[str, Any]) -> float:
    """Rise along a line, then fall to nothing along half a cosine.

    Source: Loshchilov and Hutter, "SGDR", 2016 (arXiv 1608.03983), equation 5 without restarts.
    """
    rising = round(warm_up * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    return _between(1.0, 0.0, (step - rising) / (steps - rising))


def steps_down(step: int, steps: int, warm_up: float, schedule: dict[str, Any]) -> float:
    """Rise along a line, then fall by a factor `times` times, at equal distances."""
    rising = round(warm_up * steps)
    if step < rising:
        return (step + 1) / (rising + 1)
    done = int((step - rising) * (schedule["times"] + 1) / (steps - rising))
    return float(schedule["factor"] ** done)


def constant(step: int, steps: int, warm_up: float, _: dict[str, Any]) -> float:
    """Rise along a line and stay."""
    rising = round(warm_up * steps)
    return min((step + 1) / (rising + 1), 1.0)


def _between(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


_SHAPES: dict[str, Callable[[int, int, float, dict[str, Any]], float]] = {
    "one-cycle": one_cycle,
    "cosine": cosine,
    "step": steps_down,
    "constant": constant,
}
