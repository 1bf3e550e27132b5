"""Random networks: the pixels that reach a middle unit are those where its gradient isn't zero."""

from __future__ import annotations

import os

import numpy as np
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from tests.analyzer import oracles
from tests.analyzer.densities import densities_of, reached, unit_of
from tests.analyzer.random_networks import Join, Part, networks

EXAMPLES = int(os.environ.get("CIFAR_REPORT_RANDOM_NETWORKS", "60"))
"""More of them on request."""


def agree(network: nn.Module, shape: tuple[int, ...]) -> None:
    """Compare the analyzer's pixels, and their share, with the gradient's."""
    try:
        with torch.no_grad():
            network.eval()(torch.ones(1, *shape))
            with oracles.Linear():
                network(torch.ones(1, *shape))
    except RuntimeError:  # a kernel larger than its map
        assume(False)
    densities, value = densities_of(network, shape)
    unit = unit_of(densities, value)
    assume(unit is not None)
    expected = reached(network, shape, unit)
    found = densities.visible(value, unit)
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(networks(), st.sampled_from([(24, 31), (40, 46)]))
def test_the_pixels_of_a_random_network_are_those_its_gradients_reach(
    part: Part, size: tuple[int, int]
) -> None:
    agree(part.module, (2, *size))


@st.composite
def dilated(draw: st.DrawFn, channels: int = 2) -> nn.Module:
    """Draw a stack of convolutions with dilations up to 5, some of them strided or transposed."""
    modules: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 4))):
        dilation, kernel = draw(st.integers(1, 5)), draw(st.sampled_from([2, 3, (1, 3), (3, 2)]))
        stride = draw(st.sampled_from([1, 1, 1, 2, 3]))
        groups = draw(st.sampled_from([1, channels]))
        kind = draw(st.sampled_from([nn.Conv2d, nn.Conv2d, nn.ConvTranspose2d]))
        modules.append(kind(channels, channels, kernel, stride, dilation, groups=groups, dilation=dilation))
    return nn.Sequential(*modules)


@st.composite
def pyramids(draw: st.DrawFn) -> nn.Module:
    """Draw branches of dilated stacks, joined, with another stack behind them."""
    how = draw(st.sampled_from(["add", "cat"]))
    join = Join(draw(dilated()), draw(dilated()), how, draw(st.integers(0, 1)))
    return nn.Sequential(join, draw(dilated(2 if how == "add" else 4)))


@settings(max_examples=EXAMPLES, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.one_of(dilated(), pyramids()))
def test_dilated_branches_leave_the_holes_that_gradients_have(network: nn.Module) -> None:
    agree(network, (2, 36, 41))
