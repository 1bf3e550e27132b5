"""Optimizers and parameter groups."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from cifar_report.analyzer.errors import ModelError
from cifar_report.trainer.fit import train
from cifar_report.trainer.images import facts
from cifar_report.trainer.optimize import make_optimizer, parameter_groups
from cifar_report.trainer.options import Options, make_config

OPTIONS = Options(epochs=1, precision="float32", memory_format="channels_last", workers=0)


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


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("sgd", lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)),
        ("adamw", lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.01)),
    ],
)
def test_steps_are_those_of_the_named_optimizer(data, name, oracle):
    torch.manual_seed(1)
    ours, theirs = nn.Linear(5, 4, bias=False), nn.Linear(5, 4, bias=False)
    theirs.load_state_dict(ours.state_dict())
    options = replace(OPTIONS, optimizer=name, learning_rate=0.1, weight_decay=0.01)
    optimizers = make_optimizer(ours, make_config(options, facts(data))), oracle(theirs.parameters())
    for _ in range(5):
        images = torch.rand(3, 5)
        for layer, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            layer(images).square().sum().backward()
            optimizer.step()
    assert torch.allclose(ours.weight, theirs.weight, rtol=1e-5, atol=1e-7)


def test_a_network_without_trainable_parameters_is_refused(data, notes, tmp_path, analysis):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ModelError, match="nothing to train"):
        train(network, data, OPTIONS, tmp_path / "run", notes, analysis=analysis)
    assert not (tmp_path / "run").exists()
