from __future__ import annotations

import pytest
import torch
import torchvision
from torch import nn

from cifar_report.analyzer import analyze
from tests.analyzer import oracles


@pytest.mark.parametrize(("name", "last", "length"), [("resnet18", 435, 500), ("mobilenet_v2", 491, 520)])
def test_every_convolution_and_pool_of_a_network_sees_what_its_gradient_reaches(
    name: str, last: int, length: int
) -> None:
    network = torchvision.models.get_model(name).double()
    layers = [n for n, m in network.named_modules() if isinstance(m, nn.Conv2d | nn.MaxPool2d)]
    expected = oracles.field_sizes(network, layers, length)
    found = {layer.name: layer.receptive_field for layer in analyze(network, (3, 224, 160)).layers}
    assert {n: found[n].size for n in layers} == expected
    assert expected[layers[-1]] == (last, last)


def test_the_oracle_is_not_clipped_by_its_image_and_counts_by_hand() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 4, (3, 5), (2, 1)), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(4, 4, 3)
    )
    # Height: 3, then + 2 * 2, then + 2 * 4. Width: 5, then + 2 * 1, then + 2 * 2.
    assert oracles.field_sizes(network.double(), ["0", "2", "3"], 60) == {
        "0": (3, 5),
        "2": (7, 7),
        "3": (15, 11),
    }


def test_the_three_oracles_agree() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.MaxPool2d(2), nn.Conv2d(2, 2, 3, dilation=2))
    shape = (1, 20, 12)
    for axis in (0, 1):
        impulses = oracles.impulse_rows(network, shape, axis)
        assert (impulses == oracles.nan_rows(network, shape, axis)).all()
        image = torch.ones(1, *shape, dtype=torch.float64, requires_grad=True)
        _, (output,) = oracles.linear_outputs(network, image)
        rows = oracles.footprint(oracles.middle(output, (2, 3)), image)[axis]
        middle = impulses[:, 0, output.shape[2] // 2, output.shape[3] // 2]
        assert (rows == middle).all()
