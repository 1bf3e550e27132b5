"""Learning rate and parameter groups."""

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

from cifar_report.analyzer.errors import ModelError
from cifar_report.trainer.fit import train
from cifar_report.trainer.optimize import one_cycle, parameter_groups
from cifar_report.trainer.options import Options


@pytest.mark.parametrize("steps", [10, 77, 400])
def test_the_schedule_is_torchs_one_cycle(steps):
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    oracle = OneCycleLR(optimizer, max_lr=0.2, total_steps=steps, cycle_momentum=False)
    for step in range(steps):
        assert one_cycle(step, steps, 0.2) == pytest.approx(oracle.get_last_lr()[0], rel=1e-9)
        optimizer.step()
        if step < steps - 1:
            oracle.step()


@pytest.mark.parametrize("steps", [1, 2, 3, 4])
def test_the_shortest_schedules_stay_between_zero_and_the_peak(steps):
    rates = [one_cycle(step, steps, 0.2) for step in range(steps)]
    assert all(0 < rate <= 0.2 for rate in rates)


def test_norms_and_biases_do_not_decay_and_tied_weights_count_once():
    first, second = nn.Linear(4, 4), nn.Linear(4, 4)
    second.weight = first.weight
    frozen = nn.Linear(4, 4).requires_grad_(False)
    network = nn.Sequential(first, nn.LayerNorm((2, 4)), nn.BatchNorm1d(4), second, frozen)
    decay, keep = parameter_groups(network)
    assert [id(p) for p in decay] == [id(first.weight)]
    assert {id(p) for p in keep} == {
        id(p) for p in (first.bias, second.bias, *network[1].parameters(), *network[2].parameters())
    }


def test_a_network_without_trainable_parameters_is_refused(data, notes, tmp_path, analysis):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    options = Options(epochs=1, precision="float32", workers=0)
    with pytest.raises(ModelError, match="nothing to train"):
        train(network, data, options, tmp_path / "run", notes, analysis=analysis)
    assert not (tmp_path / "run").exists()
