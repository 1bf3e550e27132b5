"""Dropout while a network trains on a CPU, against torch's own."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cifar_report.trainer.dropout import FastDropout
from cifar_report.trainer.images import facts
from cifar_report.trainer.network import Network
from cifar_report.trainer.options import Options, make_config
from tests.trainer.conftest import needs_compiler


def dropped(like, p=0.3, seed=0, **how):
    torch.manual_seed(seed)
    with FastDropout():
        return functional.dropout(like, p, True, **how)


@pytest.mark.parametrize("p", [0.05, 0.1, 0.5, 0.9])
def test_the_share_is_the_probability_and_the_rest_keeps_the_mean(p):
    count = 400_000
    found = dropped(torch.ones(count), p)
    assert len(found.unique()) == 2
    assert found.max().item() == pytest.approx(1 / (1 - p), rel=1e-4)
    # Five standard deviations of a binomial count.
    assert abs((found == 0).sum().item() - p * count) < 5 * math.sqrt(count * p * (1 - p))
    assert found.mean().item() == pytest.approx(1, abs=5 * math.sqrt(p / (1 - p) / count))


def test_elements_are_dropped_independently():
    """Neighbours in each of the four 16-bit parts of a draw, and across draws, have nothing in common."""
    kept = (dropped(torch.ones(400_000), 0.5) > 0).double().numpy()
    for distance in (1, 2, 3, 4, 5, 64, 65_536):
        assert abs(np.corrcoef(kept[:-distance], kept[distance:])[0, 1]) < 5 / math.sqrt(len(kept))


def test_calls_differ_and_seeds_repeat_them():
    ones = torch.ones(1000)
    torch.manual_seed(1)
    with FastDropout():
        first, second = functional.dropout(ones, 0.5), functional.dropout(ones, 0.5)
    assert not torch.equal(first, second)
    assert torch.equal(first, dropped(ones, 0.5, seed=1))
    assert not torch.equal(first, dropped(ones, 0.5, seed=2))


@pytest.mark.parametrize(
    "value",
    [
        torch.ones(4, 6, 5, 7),
        torch.ones(4, 6, 5, 7).to(memory_format=torch.channels_last),
        torch.ones(4, 6, 5, 7)[:, ::2, 1:, :],
        torch.ones(4, 1, 5, 7).expand(4, 6, 5, 7),
        torch.ones(3),
        torch.ones(0, 3),
        torch.ones(()),
        torch.ones(4, 6, dtype=torch.bfloat16),
    ],
    ids=["contiguous", "channels_last", "sliced", "expanded", "three", "empty", "scalar", "bfloat16"],
)
def test_any_layout_and_type_comes_out_as_torch_gives_it(value):
    found, expected = dropped(value, 0.5), functional.dropout(value, 0.5)
    assert (found.shape, found.dtype, found.stride()) == (expected.shape, expected.dtype, expected.stride())
    assert set(found.unique().tolist()) <= {0.0, 2.0}


def test_the_gradient_goes_through_what_was_kept():
    value = torch.randn(50, 8, requires_grad=True)
    found = dropped(value, 0.25)
    found.sum().backward()
    assert torch.allclose(found, value * value.grad)
    assert value.grad.unique().tolist() == pytest.approx([0, 4 / 3])


def test_in_place_changes_what_was_given():
    value = torch.ones(100)
    assert dropped(value, 0.5, inplace=True) is value
    assert set(value.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_nothing_and_everything(p):
    assert torch.equal(dropped(torch.ones(9), p), torch.full((9,), 1 - p))


def test_a_wrong_probability_is_torchs_own_error():
    with pytest.raises(ValueError, match="between 0 and 1"):
        dropped(torch.ones(9), 1.5)


def test_evaluation_drops_nothing():
    network = nn.Dropout(0.5).eval()
    with FastDropout():
        assert torch.equal(network(torch.ones(9)), torch.ones(9))


def test_networks_train_with_it_and_are_evaluated_without(data):
    module = nn.Sequential(nn.AvgPool2d(32), nn.Flatten(), nn.Dropout(0.5))
    network = Network(module, make_config(Options(epochs=1, device="cpu"), facts(data)))
    images = torch.from_numpy(data.train.images)
    module.eval()
    plain = network.scores(images)
    module.train()
    torch.manual_seed(3)
    trained = network.scores(images, training=True)
    assert torch.equal(trained, dropped(plain, 0.5, seed=3))


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=needs_compiler)])
def test_compiled_networks_drop_the_same_elements(backend):
    """Two layers with the same input: a compiler must not take them for one."""

    class Two(nn.Module):
        def forward(self, maps):
            return functional.dropout(maps, 0.5), functional.dropout(maps, 0.5)

    maps = torch.randn(40, 30, requires_grad=True)
    found, expected = [], []
    for results, network in ((found, torch.compile(Two(), backend=backend)), (expected, Two())):
        torch.manual_seed(1)
        with FastDropout():
            first, second = network(maps)
        (gradient,) = torch.autograd.grad((first * second).sum(), maps)
        results += [first, second, gradient]
    assert not torch.equal(found[0], found[1])
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(found, expected, strict=True))
