"""Learning rates tried on a network and real digits."""

import math

import pytest
import torch
from torch import nn

from cifar_report.analyzer.errors import ModelError
from cifar_report.trainer.digits import load_digits
from cifar_report.trainer.images import facts
from cifar_report.trainer.options import Options, make_config
from cifar_report.trainer.rate_finder import find_rate

OPTIONS = Options(epochs=1, batch_size=64, precision="float32", memory_format="contiguous", augment="none")


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture
def tiny():
    torch.manual_seed(3)
    return nn.Sequential(nn.AvgPool2d(4), nn.Flatten(), nn.Linear(3 * 8 * 8, 10))


def test_the_suggested_rate_learns_digits_and_lesser_ones_do_not(digits, tiny, notes):
    before = {name: value.clone() for name, value in tiny.state_dict().items()}
    found = find_rate(tiny, digits, OPTIONS, notes)
    assert all(torch.equal(value, before[name]) for name, value in tiny.state_dict().items())
    assert notes.works[0] == ("trying learning rates", 1, 200)
    assert 1e-4 < found.suggestion < found.lowest

    def after(rate):
        """Train by hand with torch alone: a hundred steps of Nesterov on the digits."""
        tiny.load_state_dict(before)
        config = make_config(OPTIONS, facts(digits))
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (config.data.mean, config.data.std))
        images = torch.from_numpy(digits.train.images).permute(0, 3, 1, 2) / 255
        images, labels = (images - mean) / std, torch.from_numpy(digits.train.labels)
        optimizer = torch.optim.SGD(tiny.parameters(), lr=rate, momentum=0.9, nesterov=True)
        order = torch.Generator().manual_seed(0)
        for _ in range(100):
            rows = torch.randint(len(labels), (64,), generator=order)
            optimizer.zero_grad()
            nn.functional.cross_entropy(tiny(images[rows]), labels[rows]).backward()
            optimizer.step()
        with torch.no_grad():
            return nn.functional.cross_entropy(tiny(images), labels).item()

    good = after(found.suggestion)
    assert good < 0.5
    assert good < after(found.suggestion / 100)
    assert not after(1000 * found.suggestion) < 2 * good


def test_the_same_seed_gives_the_same_sweep(data, network, notes):
    small = Options(epochs=1, batch_size=20, precision="float32", memory_format="contiguous", mixup=0.2)
    first, second = (find_rate(network, data, small, notes, steps=25) for _ in range(2))
    assert first == second
    assert len(first.points) > 15


def test_a_network_that_overflows_ends_the_sweep(data, notes):
    """The third power of what it learns overflows long before the highest rate."""

    class Cube(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            return (20 * self.layer(x.mean(dim=(2, 3)))) ** 9

    options = Options(epochs=1, batch_size=20, precision="float32", memory_format="contiguous")
    found = find_rate(Cube(), data, options, notes)
    assert len(found.points) < 200
    assert "loss" in found.ended
    assert all(math.isfinite(point.loss) for point in found.points)


def test_a_network_that_is_broken_from_the_start_is_an_error_naming_its_layer(data, network, notes):
    with torch.no_grad():
        network[6].weight[0, 0] = math.nan
    with pytest.raises(ModelError, match=r"not finite before any training(?s:.*)layer 6 \(Linear\)"):
        find_rate(network, data, Options(epochs=1, batch_size=20, precision="float32"), notes)
