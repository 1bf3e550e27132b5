"""What each operator costs, for a batch of one: one small formula per operator, shapes in, numbers out.

* MACs: multiply-accumulates of convolution, linear, matrix and attention products. Twice that is the
  count of `torch.utils.flop_counter`, and of fvcore it is the count itself.
* elementwise: everything else that computes. One operation per output element for arithmetic and
  activations; 2 for batch normalisation in eval mode (scale and shift, which is what it folds into);
  5 for normalisations that take statistics (mean, variance, normalise, scale, shift); the size of the
  window per output of a pool; one per input element of a reduction; 3 for softmax (exp, sum, divide).
* DMAs: elements read and written, weights included. Views read and write nothing. Every operator
  counts as if nothing stayed in a cache, so the bytes are an upper bound.

An operator that no formula covers costs None, which is not 0.
"""

from __future__ import annotations

from dataclasses import dataclass

from cifar_report.analyzer.costs_elementwise import FREE, MOVES, OTHER, PICKS
from cifar_report.analyzer.costs_macs import MACS
from cifar_report.analyzer.graph import Node

__all__ = ["FREE", "MACS", "MOVES", "OTHER", "PICKS", "Cost", "cost_of", "intensity", "traffic"]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one operator costs; None is unknown."""

    macs: int | None = 0
    elementwise: int | None = 0
    dmas: int | None = 0
    traffic_bytes: int | None = 0
    """What `dmas` takes in memory [B]."""


def cost_of(node: Node) -> Cost:
    """Return what a node costs."""
    if node.op in FREE:
        return Cost()
    if node.op in MACS:
        return Cost(MACS[node.op](node), 0, *traffic(node))
    if node.op in OTHER:
        return Cost(0, OTHER[node.op](node), *traffic(node))
    if node.op in MOVES or node.op in PICKS:
        return Cost(0, 0, *traffic(node))
    return Cost(None, None, None, None)


def traffic(node: Node) -> tuple[int, int]:
    """Return how many elements an operator reads and writes, and how many bytes these are."""
    elements = size = 0
    read = node.inputs if node.op not in PICKS else (*node.inputs[1:], *node.outputs)
    for value in (*read, *node.outputs):
        elements += value.numel
        size += value.numel * value.dtype.itemsize
    return elements, size


def intensity(macs: int | None, elementwise: int | None, traffic_bytes: int | None) -> float | None:
    """Return the roofline's arithmetic intensity [FLOP/B]: all operations over all bytes moved.

    Below a machine's own ratio of arithmetic to memory speed, memory is what a layer waits for. After
    Williams, Waterman and Patterson, Communications of the ACM 52(4), 2009. None where a figure is
    unknown, or nothing is moved.
    """
    if macs is None or elementwise is None or not traffic_bytes:
        return None
    return (2 * macs + elementwise) / traffic_bytes
