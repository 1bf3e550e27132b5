"""How much memory the activations of a forward pass take."""

from __future__ import annotations

from typing import NamedTuple

from cifar_report.analyzer.graph import Trace, Value


class Memory(NamedTuple):
    """Bytes of activations for a batch of one."""

    total: int
    """All outputs of operators together; views and in-place results take none."""
    peak: int
    """Most that is alive at one time, when everything is freed right after its last use."""


def size_of(value: Value) -> int:
    """Return a value's size [B]."""
    return value.numel * value.dtype.itemsize


def activation_memory(trace: Trace) -> Memory:
    """Walk the trace in order, with each value's memory freed after the last node that reads it."""
    last_use: dict[int, int] = {}
    for node in trace.nodes:
        for value in node.live_inputs:
            last_use[value.root] = node.index
        for value in node.outputs:
            last_use.setdefault(value.root, node.index)
    end = len(trace.nodes)
    for value in trace.outputs:
        last_use[value.root] = end
    freed: dict[int, list[int]] = {}
    for root, index in last_use.items():
        freed.setdefault(index, []).append(root)
    alive = {value.root: size_of(value) for value in trace.inputs}
    held = peak = sum(alive.values())
    total = 0
    for node in trace.nodes:
        for value in node.outputs:
            if value.root == value.id:
                alive[value.root] = size_of(value)
                held += alive[value.root]
                total += alive[value.root]
        peak = max(peak, held)
        for root in freed.get(node.index, ()):
            held -= alive.pop(root, 0)
    return Memory(total, peak)
