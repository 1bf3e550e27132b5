"""Random networks: what the analysis says of each is what the gradient of the middle units reaches."""

from __future__ import annotations

import os
from itertools import product

import numpy as np
import torch
from hypothesis import HealthCheck, assume, given, settings
from torch import Tensor, nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.receptive_field import RULES, compute_fields
from cifar_report.analyzer.shadow import expand
from cifar_report.analyzer.trace import trace_network
from tests.analyzer import oracles
from tests.analyzer.random_networks import Part, networks

EXAMPLES = int(os.environ.get("CIFAR_REPORT_RANDOM_NETWORKS", "100"))
"""More of them on request: 1,000 take about a minute."""

SIZES = (40, 88)


def middle_units(output: Tensor, period: tuple[int, int]) -> list[tuple[int, int, int]]:
    """Return the units of one period around the middle, of each channel."""
    _, channels, *map_size = output.shape
    rows, columns = (
        range(size // 2 - repeat // 2, size // 2 - repeat // 2 + repeat)
        for size, repeat in zip(map_size, period, strict=True)
    )
    return list(product(range(channels), rows, columns))


def measured(
    network: nn.Module, size: int, period: tuple[int, int], margin: int
) -> tuple[list[tuple[int, int, int]], np.ndarray] | None:
    """Return units, and first and last row and column that each sees: (units, axes, 2).

    None when the image is too small for the network, or clips what they see: what they see may have
    holes, so it must end `margin` pixels before the border.
    """
    try:
        with torch.no_grad(), oracles.Linear():
            shape = network(torch.ones(1, 2, size, size + 6))
    except RuntimeError:  # a kernel larger than its map
        return None
    if min(shape.shape[2:]) < 2 * max(period) + 1:
        return None
    units = middle_units(shape, period)
    images = torch.ones(len(units), 2, size, size + 6, requires_grad=True)
    with oracles.Linear():
        output = network(images)
    index = torch.arange(len(units))
    channel, row, column = (torch.tensor(axis) for axis in zip(*units, strict=True))
    picked = output[index, channel, row, column].sum()
    reached = torch.zeros_like(images)
    if picked.requires_grad:
        (reached,) = torch.autograd.grad(picked, images)
    seen = (reached != 0).any(1)
    extents = [
        [oracles.extent(seen[unit].any(1 - axis).numpy()) for axis in (0, 1)] for unit in range(len(units))
    ]
    rows = np.array(extents)
    first, last = rows[..., 0], rows[..., 1]
    inside = (first >= margin) & (last + margin < (size, size + 6)) | (last < 0)
    return (units, rows) if inside.all() else None


@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
@given(networks())
def test_the_field_of_a_random_network_is_what_its_gradients_reach(part: Part) -> None:
    network = part.module
    # Units are a stride apart, and a dilation of 3 leaves out two of them.
    margin = 3 * max(part.stride)
    for size in SIZES:
        if (result := measured(network, size, part.period, margin)) is not None:
            break
    assume(result is not None)
    units, extents = result
    field = analyze(network, (2, size, size + 6)).totals.receptive_field.output
    assert field.kind == "local"
    sizes = extents[..., 1] - extents[..., 0] + 1
    assert field.size == tuple(sizes.max(0))
    assert not field.uniform or (sizes == sizes[0]).all()

    trace = trace_network(network, (2, size, size + 6), RULES)
    (output,) = trace.outputs
    fields = compute_fields(trace)
    shadows = fields.of(output)
    assert shadows is not None
    for axis, shadow in enumerate(shadows):
        lo, hi = (np.broadcast_to(bounds, output.shape)[0] for bounds in expand(shadow, output.shape))
        found = [(lo[unit], hi[unit]) if lo[unit] <= hi[unit] else (0, -1) for unit in units]
        assert found == [tuple(extent) for extent in extents[:, axis]]
