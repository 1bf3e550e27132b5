from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cifar_report.analyzer.assemble import analyze
from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.reporter.effective_field import measure_effective_field
from tests.reporter.effective_fields import SIZE, measured


def _dead() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    nn.init.constant_(network[0].bias, -1e6)
    return network


def test_a_dead_unit_is_an_error() -> None:
    with pytest.raises(ModelError, match="no gradient") as caught:
        measured(_dead())
    assert caught.value.found == "0 at every pixel of every image"


def test_weights_that_are_no_numbers_are_an_error() -> None:
    network = nn.Conv2d(3, 1, 1)
    nn.init.constant_(network.weight, float("nan"))
    with pytest.raises(ModelError, match="no gradient") as caught:
        measured(network)
    assert caught.value.found == "not a number"


def test_a_network_without_weights_is_an_error() -> None:
    with torch.device("meta"):
        network = nn.Conv2d(3, 1, 1)
    with pytest.raises(ModelError, match="has no weights"):
        measured(network)


def test_a_network_without_maps_is_an_error() -> None:
    with pytest.raises(UsageError, match="no map"):
        measured(nn.Sequential(nn.Flatten(), nn.Linear(3 * 33 * 47, 2)))


def test_several_inputs_are_an_error() -> None:
    class Two(nn.Module):
        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            return one + other

    analysis = analyze(Two(), inputs=[SIZE, SIZE])
    with pytest.raises(UsageError, match="isn't called with one image"):
        measure_effective_field(Two(), analysis)


@pytest.mark.parametrize("shape", [(0, *SIZE), (2, 3, 32, 32)])
def test_images_of_another_size_are_an_error(shape: tuple[int, ...]) -> None:
    network = nn.Conv2d(3, 1, 3)
    with pytest.raises(UsageError, match="don't fit"):
        measure_effective_field(network, analyze(network, SIZE), torch.zeros(shape))


def test_a_detached_map_is_an_error() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 1, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).detach()

    with pytest.raises(ModelError, match="traced back"):
        measured(Detached())
