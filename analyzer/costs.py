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

from collections.abc import Sequence
from typing import NamedTuple, cast

from cifar_report.analyzer import costs_detection  # noqa: F401 - registers its formulas
from cifar_report.analyzer.costs_elementwise import FREE, MOVES, OTHER, PICKS
from cifar_report.analyzer.costs_macs import MACS
from cifar_report.analyzer.graph import Node

__all__ = ["FREE", "MACS", "MOVES", "NOTHING", "OTHER", "PICKS", "Cost", "cost_of", "total", "traffic"]


class Cost(NamedTuple):
    """What one operator costs; None is unknown."""

    macs: int | None = 0
    elementwise: int | None = 0
    dmas: int | None = 0
    traffic_bytes: int | None = 0
    """What `dmas` takes in memory [B]."""

    @property
    def intensity(self) -> float | None:
        """The roofline's arithmetic intensity [FLOP/B]: all operations over all bytes moved.

        Below a machine's own ratio of arithmetic to memory speed, memory is what a layer waits for. After
        Williams, Waterman and Patterson, Communications of the ACM 52(4), 2009. None where a figure is
        unknown, or nothing is moved.
        """
        if self.macs is None or self.elementwise is None or not self.traffic_bytes:
            return None
        return (2 * self.macs + self.elementwise) / self.traffic_bytes


NOTHING = Cost()
UNKNOWN = Cost(None, None, None, None)


def cost_of(node: Node) -> Cost:
    """Return what a node costs."""
    op = node.op
    if op in FREE:
        return NOTHING
    macs, other = MACS.get(op), OTHER.get(op)
    if macs is None and other is None and op not in MOVES and op not in PICKS:
        return UNKNOWN
    elements, size = traffic(node)
    return Cost(macs(node) if macs else 0, other(node) if other else 0, elements, size)


def traffic(node: Node) -> tuple[int, int]:
    """Return how many elements an operator reads and writes, and how many bytes these are."""
    elements = size = 0
    read = node.inputs if node.op not in PICKS else (*node.inputs[1:], *node.outputs)
    for value in (*read, *node.outputs):
        count = value.numel
        elements += count
        size += count * value.dtype.itemsize
    return elements, size


def total(costs: Sequence[Cost]) -> Cost:
    """Return what several operators cost together; a figure is None when any of them is unknown."""
    return Cost(*map(_sum, zip(*costs, strict=True))) if costs else NOTHING


def _sum(figures: Sequence[int | None]) -> int | None:
    return None if None in figures else sum(cast("Sequence[int]", figures))
