"""What the analyzer says reaches a unit in the middle of a map, and what the gradient says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cifar_report.analyzer import field_rules  # noqa: F401 - registers the rules
from cifar_report.analyzer.density import Densities, middle_unit
from cifar_report.analyzer.density_region import Region
from cifar_report.analyzer.graph import Value
from cifar_report.analyzer.receptive_field import RULES, compute_fields, sees_nothing
from cifar_report.analyzer.trace import trace_network
from tests.analyzer import oracles


def densities_of(network: nn.Module, shape: Sequence[int]) -> tuple[Densities, Value]:
    """Return the densities of a network, and its output."""
    trace = trace_network(network, tuple(shape), RULES)
    fields = compute_fields(trace)
    return Densities(trace, fields, lambda node: trace.nodes[node].op), trace.outputs[0]


def unit_of(densities: Densities, value: Value) -> Region | None:
    """Return the unit that a density is about; None when it sees nothing."""
    shadows = densities.fields.of(value)
    assert shadows is not None, "the field is unknown"
    return None if sees_nothing(shadows) else middle_unit(value, shadows, densities.fields.axes)


def reached(network: nn.Module, shape: Sequence[int], unit: Region) -> NDArray[np.bool_]:
    """Return the pixels of an image where the gradient of some units isn't zero."""
    image = torch.ones(1, *shape, dtype=torch.float64, requires_grad=True)
    with oracles.Linear():
        output = network.eval()(image)
    index = [slice(None) if first is None else slice(first, first + 1) for first in unit.origin]
    total = output[tuple(index)].sum()
    if not total.requires_grad:
        return np.zeros(tuple(shape[1:]), dtype=bool)
    (gradient,) = torch.autograd.grad(total, image)
    return (gradient != 0).any(1)[0].numpy()
