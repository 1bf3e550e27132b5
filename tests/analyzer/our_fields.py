"""What the analyzer says every unit of an output sees, to compare with the oracles."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from cifar_report.analyzer import field_rules  # noqa: F401 - registers the rules
from cifar_report.analyzer.receptive_field import RULES, compute_fields
from cifar_report.analyzer.shadow import expand
from cifar_report.analyzer.trace import trace_network
from tests.analyzer.oracles import Bounds


def bounds(network: nn.Module, inputs: Any, output: int = 0) -> list[Bounds]:
    """Return, per axis, the first and last row that each unit sees, not clipped: the output's shape.

    Raises:
        AssertionError: an operator on the way is unknown.
    """
    trace = trace_network(network, inputs, RULES)
    fields = compute_fields(trace)
    value = trace.outputs[output]
    shadows = fields.of(value)
    assert shadows is not None, f"unknown: {trace.nodes[fields.unknown[value.id]]}"
    result = []
    for shadow in shadows:
        lo, hi = (np.broadcast_to(side, value.shape)[0] for side in expand(shadow, value.shape))
        result.append((lo, hi))
    return result


def differing(found: Bounds, expected: Bounds, size: int, inside: Any = ...) -> list[tuple[Any, ...]]:
    """Return the units, among those inside, of which analyzer and oracle don't say the same.

    Args:
        found: the analyzer's bounds, which are clipped here at the image.
        expected: an oracle's.
        size: of the image along this axis.
        inside: an index that leaves out the border, where padding counts as virtual image.

    Returns:
        For each its index, found first and last, expected first and last.
    """
    lo, hi = np.maximum(found[0], 0)[inside], np.minimum(found[1], size - 1)[inside]
    first, last = expected[0][inside], expected[1][inside]
    wrong = np.where(first > last, lo <= hi, (lo != first) | (hi != last))
    return [
        (
            tuple(map(int, at)),
            int(lo[tuple(at)]),
            int(hi[tuple(at)]),
            int(first[tuple(at)]),
            int(last[tuple(at)]),
        )
        for at in np.argwhere(wrong)
    ]
