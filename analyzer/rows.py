"""Turn a trace into rows, one per module call and per function outside of leaf modules.

Rows stand in order of completion, children before their parents, as torchsummary prints them. A row
holds what the layer does itself, so that rows add up to the network's totals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from cifar_report.analyzer.analysis import Layer, ReceptiveField
from cifar_report.analyzer.backward_field import Box
from cifar_report.analyzer.costs import FREE, Cost, intensity
from cifar_report.analyzer.graph import ModuleCall, Node, Trace, Value
from cifar_report.analyzer.receptive_field import Fields


@dataclass(frozen=True, slots=True)
class Rows:
    """Where every node's costs go."""

    subjects: tuple[ModuleCall | Node, ...]
    """What each row is about, in order."""
    names: tuple[str, ...]
    row_of_node: tuple[int, ...]
    """By node index."""
    own_parameters: dict[int, list[nn.Parameter]]
    """By row: parameters that count here, and nowhere before."""
    own_buffers: dict[int, int]
    """By row: elements of buffers."""
    uncalled: tuple[str, ...]


_LISTS = (nn.ParameterList, nn.ParameterDict)
"""Nobody calls these."""


def total(figures: Iterable[int | None]) -> int | None:
    """Return a sum, None when any summand is unknown."""
    result = 0
    for figure in figures:
        if figure is None:
            return None
        result += figure
    return result


def lay_out(trace: Trace) -> Rows:
    """Decide on the rows, their order and their names."""
    composite = {call.index for call in trace.calls if call.module._modules}
    functions = [node for node in trace.nodes if node.call in composite and node.op not in FREE]
    keyed: list[tuple[tuple[int, int, int], ModuleCall | Node]] = [
        ((call.last_node, 1, call.completed), call) for call in trace.calls
    ]
    keyed += [((node.index + 1, 0, 0), node) for node in functions]
    keyed.sort(key=lambda pair: pair[0])
    subjects = tuple([subject for _, subject in keyed])
    row_of_call = {
        subject.index: row for row, subject in enumerate(subjects) if isinstance(subject, ModuleCall)
    }
    row_of_node = [row_of_call[node.call] for node in trace.nodes]
    for row, subject in enumerate(subjects):
        if isinstance(subject, Node):
            row_of_node[subject.index] = row
    own_parameters, own_buffers, uncalled = _own(trace, row_of_call)
    return Rows(
        subjects=subjects,
        names=tuple(_names(trace, subjects)),
        row_of_node=tuple(row_of_node),
        own_parameters=own_parameters,
        own_buffers=own_buffers,
        uncalled=uncalled,
    )


def _names(trace: Trace, subjects: Sequence[ModuleCall | Node]) -> list[str]:
    """Name modules by their path, functions after the module that called them, numbered from the second."""
    seen: dict[str, int] = {}
    names = []
    for subject in subjects:
        if isinstance(subject, ModuleCall):
            names.append(subject.path)
            continue
        path = trace.calls[subject.call].path
        name = f"{path}.{subject.op}" if path else subject.op
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return names


def _own(
    trace: Trace, row_of_call: dict[int, int]
) -> tuple[dict[int, list[nn.Parameter]], dict[int, int], tuple[str, ...]]:
    """Give every parameter and buffer to one row.

    Those of a module that was never called (attention reads its output projection's weights, say) go
    to the module that holds it.
    """
    first_call: dict[int, int] = {}
    for call in sorted(trace.calls, key=lambda call: row_of_call[call.index]):
        first_call.setdefault(id(call.module), row_of_call[call.index])
    parameters: dict[int, list[nn.Parameter]] = {}
    buffers: dict[int, int] = {}
    claims: list[tuple[int, nn.Module]] = []
    uncalled = []
    root = trace.calls[0].module
    stack: list[tuple[str, nn.Module, int]] = [("", root, row_of_call[0])]
    visited: set[int] = set()
    while stack:
        path, module, holder = stack.pop()
        if id(module) in visited:
            continue
        visited.add(id(module))
        row = first_call.get(id(module), holder)
        claims.append((row, module))
        holds = any(p is not None for p in module._parameters.values())
        if holds and id(module) not in first_call and not isinstance(module, _LISTS):
            uncalled.append(path)
        prefix = f"{path}." if path else ""
        children = [
            (prefix + name, child, row) for name, child in module._modules.items() if child is not None
        ]
        stack.extend(reversed(children))
    taken: set[int] = set()
    for row, module in sorted(claims, key=lambda claim: claim[0]):
        for parameter in module._parameters.values():
            if parameter is not None and id(parameter) not in taken:
                taken.add(id(parameter))
                parameters.setdefault(row, []).append(parameter)
        for buffer in module._buffers.values():
            if buffer is not None and id(buffer) not in taken:
                taken.add(id(buffer))
                buffers[row] = buffers.get(row, 0) + buffer.numel()
    return parameters, buffers, tuple(uncalled)


def make_layers(
    trace: Trace,
    rows: Rows,
    costs: Sequence[Cost],
    fields: Fields,
    boxes: dict[int, Box],
    field_of: Callable[[Value], ReceptiveField],
) -> tuple[Layer, ...]:
    """Return the rows with all their figures."""
    nodes_of_row: dict[int, list[Node]] = {}
    for node, row in zip(trace.nodes, rows.row_of_node, strict=True):
        nodes_of_row.setdefault(row, []).append(node)
    backward = _Backward(fields, boxes)
    layers = []
    for row, subject in enumerate(rows.subjects):
        nodes = nodes_of_row.get(row)
        own = _sum([costs[node.index] for node in nodes]) if nodes else _FREE_OF_COST
        parameters = rows.own_parameters.get(row, ())
        params = sum([p.numel() for p in parameters])
        frozen = sum([p.numel() for p in parameters if not p.requires_grad])
        if isinstance(subject, ModuleCall):
            kind: Literal["module", "function"] = "module"
            module, depth = subject.module, subject.depth
            type_name, leaf = type(module).__name__, not module._modules
            container = depth == 0 or isinstance(module, _CONTAINERS)
            inputs, outputs, reused = subject.inputs, subject.outputs, subject.reused
            first, last = subject.first_node, subject.last_node
        else:
            kind, type_name, leaf, container, reused = "function", subject.op, True, False, False
            depth = trace.calls[subject.call].depth + 1
            inputs, outputs = subject.live_inputs, subject.outputs
            first, last = subject.index, subject.index + 1
        layers.append(
            Layer(
                index=row,
                name=rows.names[row],
                type=type_name,
                kind=kind,
                leaf=leaf,
                container=container,
                depth=depth,
                input_shape=inputs[0].shape if inputs else None,
                output_shape=outputs[0].shape if outputs else None,
                params=params,
                trainable_params=params - frozen,
                buffers=rows.own_buffers.get(row, 0),
                reused=reused,
                macs=own.macs,
                flops=None if own.macs is None else 2 * own.macs,
                elementwise=own.elementwise,
                dmas=own.dmas,
                activation_bytes=_activation_bytes(nodes) if nodes else 0,
                receptive_field=field_of(outputs[0]) if outputs else _NO_TENSOR,
                backward_field=backward.of(inputs),
                first_operator=first,
                last_operator=last,
                traffic_bytes=own.traffic_bytes,
                intensity=intensity(own.macs, own.elementwise, own.traffic_bytes) if nodes else None,
            )
        )
    return tuple(layers)


_FREE_OF_COST = Cost()
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_NO_TENSOR = ReceptiveField(kind="unknown", cause="it returned no tensor")
_NO_IMAGE = ReceptiveField(kind="unknown", cause="no tensor that depends on the image comes in")
_NO_EFFECT = ReceptiveField(kind="unknown", cause="the network's output doesn't depend on it")


def _sum(costs: list[Cost]) -> Cost:
    """Return what a row's operators cost together; most rows have one."""
    if len(costs) == 1:
        return costs[0]
    return Cost(
        total([cost.macs for cost in costs]),
        total([cost.elementwise for cost in costs]),
        total([cost.dmas for cost in costs]),
        total([cost.traffic_bytes for cost in costs]),
    )


def _activation_bytes(nodes: Sequence[Node]) -> int:
    """Return what the outputs of operators take; views and writes in place take nothing."""
    return sum([
        value.numel * value.dtype.itemsize
        for node in nodes
        for value in node.outputs
        if value.root == value.id
    ])  # fmt: skip


class _Backward:
    """Describes the part of a layer's input that one unit of the network's output depends on."""

    def __init__(self, fields: Fields, boxes: dict[int, Box]) -> None:
        self.fields = fields
        self.boxes = boxes
        self.known: dict[tuple[int, ...], ReceptiveField] = {}

    def of(self, inputs: Sequence[Value]) -> ReceptiveField:
        """Return the box of a layer's first live input, as a field."""
        source = next((value for value in inputs if value.constant is None), None)
        if source is None:
            return _NO_IMAGE
        box = self.boxes.get(source.id)
        if box is None:
            return _NO_EFFECT
        axes = self.fields.axes
        dims = [shadow.dim for shadow in self.fields.of(source) or ()]
        if not dims or None in dims:
            dims = list(range(2, 2 + axes)) if len(box) == 2 + axes else []
        size = tuple([box[dim][1] - box[dim][0] + 1 for dim in dims if dim is not None]) or (1,) * axes
        field = self.known.get(size)
        if field is None:
            field = self.known[size] = ReceptiveField(kind="local", size=size)
        return field
