"""Find structures in the dataflow graph: what an assignment asks for, and what only looks like it.

Each finding names its layers. A near miss counts for nothing and says why, because "one of the layers
must use a depthwise separable convolution" is where most submissions go wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cifar_report.analyzer import windows
from cifar_report.analyzer.analysis import Finding
from cifar_report.analyzer.dataflow import Dataflow
from cifar_report.analyzer.graph import Node, Trace, Value
from cifar_report.analyzer.receptive_field import Fields
from cifar_report.analyzer.structure_blocks import RESIZERS, Shrinking, find_blocks, shrinking
from cifar_report.analyzer.structure_convolutions import of_convolution
from cifar_report.analyzer.structure_pooling import (
    ADAPTIVE,
    REDUCTIONS,
    heads,
    of_adaptive,
    of_pool,
    of_reduction,
    pooled_dims,
    pooled_map,
)

_TELLING = windows.CONVOLUTIONS | windows.POOLS | ADAPTIVE | REDUCTIONS | RESIZERS
"""Operators that show a structure by themselves."""


@dataclass(frozen=True, slots=True)
class Structures:
    """What was found."""

    findings: tuple[Finding, ...]
    """In the order of the trace; heads and blocks last."""
    before_gap: Value | None
    """The map that enters the last global pooling."""


def find_structures(trace: Trace, fields: Fields, layer_name: Callable[[int], str]) -> Structures:
    """Return all findings and near misses.

    Args:
        trace: of the network.
        fields: its receptive fields, which tell a map's dimensions from channels.
        layer_name: names the layer of a node.
    """
    flow = Dataflow(trace, layer_name)
    findings: list[Finding] = []
    gaps: list[Node] = []
    shrinkings: dict[int, Shrinking] = {}
    for node in trace.nodes:
        if not node.live_inputs or node.op not in _TELLING:
            continue
        dims = pooled_dims(node, fields)
        if node.op in windows.CONVOLUTIONS and node.args[0].live:
            findings.extend(of_convolution(flow, node))
        elif node.op in windows.POOLS:
            findings.extend(of_pool(flow, node, bool(dims)))
        if dims:
            finding = of_reduction(flow, node, dims)
            findings.append(finding)
            if finding.found:
                gaps.append(node)
            continue
        findings.extend(of_adaptive(flow, node))
        how = shrinking(node)
        if how:
            shrinkings[node.index] = how
            findings.append(how.finding(layer_name(node.index)))
    if gaps:  # then it doesn't matter what else looks like one: every gate does
        findings = [finding for finding in findings if finding.found or finding.structure != "gap"]
    findings.extend(heads(flow, gaps))
    findings.extend(find_blocks(flow, shrinkings))
    return Structures(tuple(findings), pooled_map(trace, gaps[-1]) if gaps else None)
