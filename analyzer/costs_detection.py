"""What a detector's operators on boxes cost, beside multiply-accumulates."""

from __future__ import annotations

from cifar_report.analyzer.cost_table import formula
from cifar_report.analyzer.costs_elementwise import OTHER
from cifar_report.analyzer.graph import Node, Value

_SAMPLE = 4
"""Pixels that a bilinear sample weighs."""
_OVERLAP = 11
"""Of two boxes: four extremes, their two differences and zero, three products and sums, a division."""


@formula(OTHER, "torchvision::roi_align", "torchvision::ps_roi_align")
def regions(node: Node) -> int:
    """Count the samples of every bin; where the network doesn't say how many, one."""
    ratio = max(int(node.args[5]), 1)
    return node.outputs[0].numel * ratio * ratio * _SAMPLE


@formula(OTHER, "torchvision::roi_pool", "torchvision::ps_roi_pool")
def pooled_regions(node: Node) -> int:
    """Count every bin once: how many pixels lie in it depends on the image."""
    return node.outputs[0].numel


@formula(OTHER, "torchvision::nms")
def suppression(node: Node) -> int:
    """Count the overlap of every pair of boxes, which is the most that it takes."""
    boxes: Value = node.args[0]
    count = boxes.shape[0]
    return count * (count - 1) // 2 * _OVERLAP
