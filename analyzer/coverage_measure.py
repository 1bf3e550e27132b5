"""Measure density and alignment of a network's receptive fields: a pass of its own, run when asked for."""

from __future__ import annotations

from contextlib import redirect_stderr
from io import StringIO
from typing import Any

from torch import nn

from cifar_report.analyzer import field_rules  # noqa: F401 - registers the rules
from cifar_report.analyzer.alignment import compare_branches
from cifar_report.analyzer.assemble import last_map, operator_name
from cifar_report.analyzer.coverage import Coverage, Density
from cifar_report.analyzer.density import Densities
from cifar_report.analyzer.density_holes import find_holes
from cifar_report.analyzer.graph import Trace
from cifar_report.analyzer.receptive_field import RULES, compute_fields
from cifar_report.analyzer.rows import Rows, lay_out
from cifar_report.analyzer.structure import find_structures
from cifar_report.analyzer.trace import trace_network

_NO_TENSOR = Density(None, cause="it returned no tensor")


def measure_coverage(module: nn.Module, inputs: Any, *, per_layer: bool = False) -> Coverage:
    """Trace a network, and follow the units in the middle of its maps back to the image.

    Args:
        module: as for `analyze`, and left as it was.
        inputs: as for `analyze`: one shape without the batch, or what `read_inputs` takes. What the network
            prints was told when it was analysed, and isn't again.
        per_layer: measure every layer's output too, which takes as long again for each.

    Raises:
        UsageError: no shape.
        ModelError: its forward raises.
    """
    with redirect_stderr(StringIO()):
        trace = trace_network(module, inputs, RULES)
    fields = compute_fields(trace)
    rows = lay_out(trace)

    def layer_name(node: int) -> str:
        return rows.names[rows.row_of_node[node]] or operator_of(node)

    def operator_of(node: int) -> str:
        return operator_name(trace.nodes[node], trace)

    densities = Densities(trace, fields, operator_of)
    before_gap = find_structures(trace, fields, layer_name).before_gap or last_map(trace, fields)
    return Coverage(
        before_gap=densities.of(before_gap),
        output=densities.of(trace.outputs[0]),
        alignment=compare_branches(trace, fields, layer_name),
        holes=find_holes(densities, before_gap, layer_name),
        layers=_of_layers(trace, rows, densities) if per_layer else None,
    )


def _of_layers(trace: Trace, rows: Rows, densities: Densities) -> tuple[Density, ...]:
    return tuple([
        densities.of(subject.outputs[0]) if subject.outputs else _NO_TENSOR for subject in rows.subjects
    ])  # fmt: skip
