"""Trace a network, run the passes, and put the result together: `analyze` is the analyzer's face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from cifar_report.analyzer import field_rules  # noqa: F401 - registers the rules
from cifar_report.analyzer.analysis import Analysis, FieldTotals, Operator, ReceptiveField, Totals
from cifar_report.analyzer.backward_field import compute_boxes
from cifar_report.analyzer.costs import Cost, cost_of, total
from cifar_report.analyzer.errors import UsageError
from cifar_report.analyzer.field_description import describe
from cifar_report.analyzer.graph import Node, Trace, Value
from cifar_report.analyzer.inputs import read_inputs
from cifar_report.analyzer.isolation import uncollected
from cifar_report.analyzer.maker import maker
from cifar_report.analyzer.memory import activation_memory
from cifar_report.analyzer.receptive_field import RULES, Fields, compute_fields, moves
from cifar_report.analyzer.rows import Holding, lay_out, make_layers
from cifar_report.analyzer.structure import find_structures
from cifar_report.analyzer.trace import trace_network
from cifar_report.analyzer.tracer import Rung
from cifar_report.analyzer.windows import CONVOLUTIONS, POOLS, convolution, pool


@uncollected()
def analyze(
    module: nn.Module,
    input_shape: Sequence[int] = (3, 32, 32),
    *,
    inputs: Any = None,
    name: str | None = None,
    only: Rung | None = None,
) -> Analysis:
    """Analyse a network for one input shape.

    Args:
        module: any `nn.Module`; it is run once on a batch of one, in eval mode, and left as it was.
        input_shape: of one example, without the batch: (C, H, W), (C, L) or (C, D, H, W).
        inputs: instead of `input_shape`, for several inputs or other dtypes: a list with a shape or an
            `InputSpec` for every argument, nested in tuples, lists and dicts as the network wants them,
            or a dict for arguments by keyword. Receptive fields refer to the first that has channels
            and a map.
        name: how to call it in reports; its class's name by default.
        only: what to run it on, instead of the first of meta, fake and real tensors that works; an error
            then comes at once and without an explanation.

    Raises:
        UsageError: not a module, or no shape.
        ModelError: its forward raises; says in which layer.
    """
    if not isinstance(module, nn.Module):
        spelled = f"{module.__name__}()" if isinstance(module, type) else repr(module)
        raise UsageError(f"analyze needs an nn.Module, not {module!r}", hint=f"pass an instance: {spelled}")
    arguments = read_inputs(tuple(input_shape) if inputs is None else inputs)
    trace = trace_network(module, arguments, RULES, only)
    fields = compute_fields(trace)
    boxes = compute_boxes(trace, fields)
    costs = [cost_of(node) for node in trace.nodes]
    rows = lay_out(trace)

    def layer_name(node: int) -> str:
        return rows.names[rows.row_of_node[node]] or operator_of(node)

    def operator_of(node: int) -> str:
        return operator_name(trace.nodes[node], trace)

    def field_of(value: Value) -> ReceptiveField:
        return describe(value, fields, layer_name, operator_of)

    structures = find_structures(trace, fields, layer_name)
    layers = make_layers(trace, rows, costs, fields, boxes, field_of)
    before_gap = structures.before_gap or last_map(trace, fields)
    parameters, buffers = trace.tree.parameters, trace.tree.buffers
    held = Holding(*map(sum, zip(*rows.holdings.values(), strict=True)))
    by_dtype: dict[torch.dtype, int] = {}
    for p in parameters:
        by_dtype[p.dtype] = by_dtype.get(p.dtype, 0) + p.numel() * p.itemsize
    all_costs = total(costs)
    macs = all_costs.macs
    memory = activation_memory(trace)
    return Analysis(
        model=name or type(module).__name__,
        input_shape=arguments.specs()[0].shape,
        rung=trace.rung,  # type: ignore[arg-type]  # the tracer knows these three only
        totals=Totals(
            params=held.params,
            trainable_params=held.trainable,
            frozen_params=held.params - held.trainable,
            buffers=held.buffers,
            macs=macs,
            flops=None if macs is None else 2 * macs,
            elementwise=all_costs.elementwise,
            dmas=all_costs.dmas,
            param_bytes=sum(by_dtype.values()),
            buffer_bytes=sum([b.numel() * b.element_size() for b in buffers]),
            activation_bytes=memory.total,
            peak_activation_bytes=memory.peak,
            receptive_field=FieldTotals(before_gap=field_of(before_gap), output=field_of(trace.outputs[0])),
            traffic_bytes=all_costs.traffic_bytes,
            intensity=all_costs.intensity,
            param_bytes_by_dtype={
                str(dtype).removeprefix("torch."): size for dtype, size in by_dtype.items()
            },
            unknown_ops=_unknown(trace, costs),
        ),
        layers=layers,
        operators=tuple(
            [
                _operator_of(node, cost, rows.row_of_node[node.index], field_of(node.outputs[0]))
                for node, cost in zip(trace.nodes, costs, strict=True)
                if node.outputs
            ]
        ),
        findings=structures.findings,
        uncalled=rows.uncalled,
        inputs=arguments.named_specs(module),
        field_input=trace.image,
    )


def last_map(trace: Trace, fields: Fields) -> Value:
    """Return the last value on the way to the output whose units still see different parts."""
    wanted = {trace.outputs[0].id}
    for node in reversed(trace.nodes):
        if any(value.id in wanted for value in node.outputs):
            wanted.update(value.id for value in node.live_inputs)
            value = node.outputs[0]
            shadows = fields.of(value)
            if shadows is None or moves(shadows) or any(s.cause is not None for s in shadows):
                return value
    return trace.inputs[trace.image]


def _unknown(trace: Trace, costs: Sequence[Cost]) -> tuple[str, ...]:
    names = [
        operator_name(node, trace)
        for node, cost in zip(trace.nodes, costs, strict=True)
        if node.op not in RULES or cost.macs is None
    ]
    return tuple(dict.fromkeys(names))


def operator_name(node: Node, trace: Trace) -> str:
    """Return an operator with the module that ran it."""
    return f"{node.op} in {trace.calls[node.call].path or 'the network itself'}"


def _operator_of(node: Node, cost: Cost, row: int, field: ReceptiveField) -> Operator:
    attributes, live = {}, node.live_inputs
    if node.op in CONVOLUTIONS:
        attributes = convolution(node).to_dict()
    elif node.op in POOLS:
        attributes = pool(node).to_dict()
    return _operator(
        node.index,
        node.op,
        row,
        (live[0].producer,) if len(live) == 1 else tuple(dict.fromkeys([value.producer for value in live])),
        node.outputs[0].shape,
        cost.macs,
        cost.elementwise,
        cost.dmas,
        field,
        attributes,
    )


_operator = maker(Operator)
