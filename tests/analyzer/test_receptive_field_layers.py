"""At every convolution and pool of networks of every kind: each unit sees what impulses and gradients say."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from torch import Tensor, nn

from cifar_report.analyzer import analyze
from tests.analyzer import layer_fields, oracles, our_fields
from tests.analyzer.small_networks import NETWORKS

SHAPES = ((3, 96, 36), (3, 32, 108))
"""Images that are long along one axis."""
MARGIN = 8
"""Units that see less than this away from the border may have lost pixels to padding."""


class Tapped(nn.Module):
    """A network that returns the outputs of some of its layers."""

    def __init__(self, network: nn.Module, layers: list[str]) -> None:
        super().__init__()
        self.network = network
        self.layers = layers

    def forward(self, x: Tensor) -> list[Tensor]:
        seen: dict[str, Tensor] = {}
        hooks = [
            self.network.get_submodule(name).register_forward_hook(
                lambda _, __, output, name=name: seen.__setitem__(name, output)
            )
            for name in self.layers
        ]
        self.network(x)
        for hook in hooks:
            hook.remove()
        return [seen[name] for name in self.layers]


@pytest.mark.parametrize("name", NETWORKS)
def test_every_unit_of_every_convolution_and_pool_sees_what_impulses_reach(name: str) -> None:
    layers = layer_fields.windows_of(NETWORKS[name])
    network = Tapped(NETWORKS[name], layers)
    for axis, shape in enumerate(SHAPES):
        size = shape[1 + axis]
        for number, layer in enumerate(layers):

            def pick(outputs: Any, number: int = number) -> Tensor:
                return outputs[number]

            first, last = oracles.bounds_of(oracles.impulse_rows(network, shape, axis, pick))
            found = our_fields.bounds(network, shape, number)[axis]
            inside = (first >= MARGIN) & (last < size - MARGIN) & (last >= 0)
            if first.min() == first.max() and last.min() == last.max():
                inside = np.ones_like(inside)  # all see the whole image
            assert inside.any(), layer
            assert our_fields.differing(found, (first, last), size, inside) == [], layer


def test_a_field_is_local_before_the_first_gate_and_global_behind_it() -> None:
    network = NETWORKS["squeeze-and-excitation"]
    layers = {row.name: row.receptive_field for row in analyze(network, SHAPES[0]).layers}
    before, behind = layers["before.1.0"], layers["behind.0"]
    # Height: 3, then + 2 * 2. Width: 1, then + 4.
    assert (before.kind, before.size) == ("local", (7, 5))
    assert (behind.kind, behind.cause) == ("global", "gate.mul")


def test_widened_windows_keep_the_maps_and_tell_the_axes_apart() -> None:
    network = torchvision.models.squeezenet1_1().eval()
    image = torch.zeros(1, 3, 64, 80)
    shape = network.features(image).shape
    wide = layer_fields.widened(network)
    assert wide.features(image).shape == shape
    first, pool = wide.features[0], wide.features[2]
    assert (first.kernel_size, pool.kernel_size) == ((3, 5), (3, 5))


REAL = {
    "resnet18": "layer4", "squeezenet1_1": "features", "shufflenet_v2_x0_5": "conv5", "alexnet": "features",
    "mobilenet_v3_small": "features",
}  # fmt: skip
"""Networks with the module whose output is their last map: the others stand in benchmarks/RESULTS.md."""

if os.environ.get("CIFAR_REPORT_ALL_LAYERS"):  # takes minutes
    REAL |= {
        "densenet121": "features", "googlenet": "inception5b", "mobilenet_v2": "features",
        "convnext_tiny": "features", "efficientnet_b0": "features", "regnet_y_400mf": "trunk_output",
    }  # fmt: skip


@pytest.mark.parametrize("name", REAL)
@pytest.mark.filterwarnings("ignore:The default weight initialization of GoogleNet")
def test_the_last_map_of_a_widened_network_sees_what_its_gradient_reaches(name: str) -> None:
    network = layer_fields.widened(torchvision.models.get_model(name).eval())
    before = layer_fields.gates(network)[:1]
    seen = layer_fields.compare(network, [*before, REAL[name]], longest=256 if before else 4096)
    assert all(one.equal for one in seen), seen
    assert not any(one.clipped for one in seen if one.layer in before or not before)
    if before:
        assert {one.field.kind for one in seen if one.layer == REAL[name]} == {"global"}


def test_the_last_map_of_a_video_network_sees_what_its_gradient_reaches() -> None:
    network = torchvision.models.get_model("mc3_18").eval()
    fields = {row.name: row.receptive_field for row in analyze(network, (3, 16, 112, 112)).layers}
    expected = oracles.field_sizes(network, ["layer1", "layer4"], 256, 16, axes=3)
    assert {name: fields[name].size for name in expected} == expected
    # After layer1, kernels are 1 frame long.
    assert expected["layer1"][0] == expected["layer4"][0] == 11
