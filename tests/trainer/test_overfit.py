"""Learning one batch by heart."""

import pytest
import torch
from torch import nn

from cifar_report.analyzer.errors import ModelError
from cifar_report.trainer.images import facts
from cifar_report.trainer.network import Network
from cifar_report.trainer.options import Options, make_config
from cifar_report.trainer.overfit import overfit_batch

OPTIONS = Options(epochs=1, batch_size=20, learning_rate=0.05)


def test_a_sound_network_learns_a_batch_by_heart(network, data):
    found = overfit_batch(network, data, OPTIONS)
    assert found.images == 20
    assert 0 < found.steps < 300
    assert found.last_loss < found.first_loss
    wrapped = Network(network, make_config(OPTIONS, facts(data)))
    network[3].eval()
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))[:20].numpy()
    scores = wrapped.scores(torch.from_numpy(data.train.images[order]))
    assert scores.argmax(dim=1).tolist() == data.train.labels[order].tolist()


def test_a_network_that_sees_nothing_is_told_so(data):
    blind = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 4), nn.Threshold(1e9, 0.0))
    blind.append(nn.Linear(4, 3))
    with pytest.raises(ModelError, match=r"can't learn a single batch of 20(?s:.*)wrong after 300 steps"):
        overfit_batch(blind, data, OPTIONS)


def test_a_rate_that_is_far_too_high_is_told_so(network, data):
    with pytest.raises(ModelError, match="another --lr"):
        overfit_batch(network, data, Options(epochs=1, batch_size=20, learning_rate=1e30))
