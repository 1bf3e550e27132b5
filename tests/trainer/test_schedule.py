"""Learning rates against torch's own schedules."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, OneCycleLR, StepLR

from cifar_report.trainer.schedule import SCHEDULES, rate


def rates(steps, **schedule):
    return [rate(step, steps, {"peak": 0.2, **schedule}) for step in range(steps)]


def oracle(make, steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.2)
    schedule, found = make(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(found) < steps:
            schedule.step()
    return found


@pytest.mark.parametrize("steps", [10, 77, 400])
def test_one_cycle_is_torchs(steps):
    expected = oracle(lambda o: OneCycleLR(o, max_lr=0.2, total_steps=steps, cycle_momentum=False), steps)
    assert rates(steps, name="one-cycle") == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_one_cycle_with_another_warm_up_is_torchs(share):
    expected = oracle(
        lambda o: OneCycleLR(o, max_lr=0.2, total_steps=100, pct_start=share, cycle_momentum=False), 100
    )
    assert rates(100, name="one-cycle", warm_up=share) == pytest.approx(expected, rel=1e-9)


def test_cosine_is_torchs():
    expected = oracle(lambda o: CosineAnnealingLR(o, T_max=60), 60)
    assert rates(60, name="cosine", warm_up=0.0) == pytest.approx(expected, rel=1e-9)


def test_steps_are_torchs():
    expected = oracle(lambda o: StepLR(o, step_size=20, gamma=0.1), 60)
    assert rates(60, name="step", warm_up=0.0, factor=0.1, times=2) == pytest.approx(expected, rel=1e-9)


def test_a_warm_up_rises_along_a_line_to_the_peak():
    expected = oracle(lambda o: LambdaLR(o, lambda step: min((step + 1) / 11, 1)), 40)
    assert rates(40, name="constant", warm_up=0.25) == pytest.approx(expected, rel=1e-9)
    for name in ("cosine", "step"):
        found = rates(40, name=name, warm_up=0.25, factor=0.5, times=1)
        assert found[:10] == pytest.approx(expected[:10], rel=1e-9)
        assert found[10] == pytest.approx(0.2)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warm_up", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("steps", [1, 2, 3, 4, 10])
def test_the_shortest_schedules_stay_between_zero_and_the_peak(name, warm_up, steps):
    found = rates(steps, name=name, warm_up=warm_up, factor=0.1, times=3)
    assert all(0 < value <= 0.2 for value in found)
