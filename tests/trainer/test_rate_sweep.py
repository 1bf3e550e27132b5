"""A sweep over functions whose best rate is known."""

import csv
import io
import json
import math

import numpy as np
import pytest

from cifar_report.trainer.rate_sweep import RULE, rates, smoothed, sweep

CURVATURE = 8.0
"""Of the parabola a x^2 / 2: gradient descent is best at the rate 1 / a and diverges above 2 / a."""
STEP = math.log(rates()[1] / rates()[0])


def parabola(noise=0.0, start=1.0):
    """Return a step that always begins at the same place, so that each rate is tried alone."""
    rng = np.random.default_rng(0)

    def step(rate):
        x = start * (1 - CURVATURE * rate)
        return 1 + CURVATURE * x * x / 2 + noise * rng.normal()

    return step


def close(found, expected, steps):
    """Return whether two rates are at most so many steps of the sweep apart."""
    return abs(math.log(found / expected)) <= steps * STEP


def test_rates_rise_by_one_factor():
    chosen = rates(0.001, 1.0, 4)
    assert chosen == pytest.approx([0.001, 0.01, 0.1, 1.0])


def test_the_lowest_is_the_best_rate_and_the_steepest_its_half():
    """By hand: (1 - a r)^2 has its lowest value at r = 1 / a, and its steepest in log r at 1 / (2 a).

    Smoothing over eleven points moves the latter by a little more than one.
    """
    found = sweep(parabola(), rates())
    assert close(found.lowest, 1 / CURVATURE, 1)
    assert close(found.suggestion, 1 / (2 * CURVATURE), 2)


def test_noise_moves_the_suggestion_little():
    found = sweep(parabola(noise=0.1), rates())
    assert close(found.lowest, 1 / CURVATURE, 6)
    assert close(found.suggestion, 1 / (2 * CURVATURE), 6)


def test_descent_that_goes_on_from_step_to_step_explodes_where_it_must():
    """Along a parabola nothing grows below 2 / a, and above it everything does."""
    place = [1.0]

    def step(rate):
        place[0] *= 1 - CURVATURE * rate
        return 1 + CURVATURE * place[0] ** 2 / 2

    found = sweep(step, rates())
    assert found.points[-1].learning_rate > 2 / CURVATURE
    assert len(found.points) < len(rates())
    assert "more than 4 times its lowest" in found.ended
    assert found.suggestion <= found.lowest < 2 / CURVATURE


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_it_and_is_not_kept(value):
    asked = []

    def step(rate):
        asked.append(rate)
        return parabola()(rate) if rate < 0.2 else value

    found = sweep(step, rates())
    assert asked[-1] == min(rate for rate in rates() if rate >= 0.2)
    assert len(found.points) == len(asked) - 1
    assert found.ended == f"the loss is {value} after a step at {asked[-1]:.3g}"
    assert found.suggestion is not None


def test_losses_that_only_rise_or_only_tremble_suggest_nothing():
    rng = np.random.default_rng(1)
    for step in (lambda rate: 2 + rate, lambda rate: 2 + rng.normal(), lambda rate: math.nan):
        found = sweep(step, rates())
        assert (found.suggestion, found.lowest) == (None, None)


def test_smoothing_shifts_nothing():
    straight = [3.0 - 0.01 * number for number in range(40)]
    assert smoothed(straight) == pytest.approx(straight)
    assert smoothed([0.0] * 20 + [11.0] + [0.0] * 20)[20] == pytest.approx(1.0)


def test_what_is_written_reads_back():
    found = sweep(parabola(), rates())
    rows = list(csv.DictReader(io.StringIO(found.to_csv())))
    assert [float(row["smoothed"]) for row in rows] == [point.smoothed for point in found.points]
    data = json.loads(json.dumps(found.to_dict()))
    assert (data["suggestion"], data["rule"]) == (found.suggestion, RULE)
    assert [row["loss"] for row in data["points"]] == [point.loss for point in found.points]
