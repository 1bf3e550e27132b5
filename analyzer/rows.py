"""Turn a trace into rows, one per module call and per function outside of leaf modules.

Rows stand in order of completion, children before their parents, as torchsummary prints them. A row
holds what the layer does itself, so that rows add up to the network's totals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter, itemgetter
from typing import Literal, NamedTuple

from torch import nn

from cifar_report.analyzer.analysis import Layer, ReceptiveField
from cifar_report.analyzer.backward_field import Box
from cifar_report.analyzer.costs import FREE, Cost, total
from cifar_report.analyzer.graph import ModuleCall, Node, Trace, Value
from cifar_report.analyzer.maker import maker
from cifar_report.analyzer.receptive_field import Fields, Shadows


@dataclass(frozen=True, slots=True)
class Rows:
    """Where every node's costs go."""

    subjects: Sequence[ModuleCall | Node]
    """What each row is about, in order."""
    names: Sequence[str]
    row_of_node: Sequence[int]
    """By node index."""
    holdings: dict[int, Holding]
    """By row: what counts here, and nowhere before."""
    uncalled: tuple[str, ...]


class Holding(NamedTuple):
    """How many elements of parameters and buffers a row holds."""

    params: int = 0
    trainable: int = 0
    buffers: int = 0


_LISTS = (nn.ParameterList, nn.ParameterDict)
"""Nobody calls these."""


def lay_out(trace: Trace) -> Rows:
    """Decide on the rows, their order and their names."""
    subjects: list[ModuleCall | Node] = []
    row_of_call: dict[int, int] = {}
    composite = {call.index for call in trace.calls if call.module._modules}
    ran = 0
    for call in sorted(trace.calls, key=attrgetter("completed")):
        subjects += [
            node
            for node in trace.nodes[ran : call.last_node]
            if node.call in composite and node.op not in FREE
        ]
        ran = call.last_node
        row_of_call[call.index] = len(subjects)
        subjects.append(call)
    row_of_node = [row_of_call[node.call] for node in trace.nodes]
    for row, subject in enumerate(subjects):
        if type(subject) is Node:
            row_of_node[subject.index] = row
    holdings, uncalled = _hold(trace, row_of_call)
    return Rows(subjects, _names(trace, subjects), row_of_node, holdings, uncalled)


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


def _hold(trace: Trace, row_of_call: dict[int, int]) -> tuple[dict[int, Holding], tuple[str, ...]]:
    """Give every parameter and buffer to one row, and name the modules with parameters that nobody called.

    Their parameters (attention reads its output projection's weights, say) go to the module that holds
    them.
    """
    first_row: dict[int, int] = {}
    for index, row in row_of_call.items():  # in the order of the rows
        first_row.setdefault(id(trace.calls[index].module), row)
    rows: dict[str, int] = {}
    claims: list[tuple[int, nn.Module]] = []
    uncalled = []
    for module in trace.tree.modules:
        path, row = trace.tree.paths[id(module)], first_row.get(id(module), -1)
        if row < 0:
            holder = path
            while holder not in rows:
                holder = holder.rpartition(".")[0]
            row = rows[holder]
            if any(p is not None for p in module._parameters.values()) and not isinstance(module, _LISTS):
                uncalled.append(path)
        rows[path] = row
        if module._parameters or module._buffers:
            claims.append((row, module))
    holdings: dict[int, Holding] = {}
    taken: set[int] = set()
    claims.sort(key=itemgetter(0))
    for row, module in claims:
        params, trainable, buffers = holdings.get(row, _NOTHING)
        for parameter in module._parameters.values():
            if parameter is not None and id(parameter) not in taken:
                taken.add(id(parameter))
                size = parameter.numel()
                params += size
                trainable += size if parameter.requires_grad else 0
        for buffer in module._buffers.values():
            if buffer is not None and id(buffer) not in taken:
                taken.add(id(buffer))
                buffers += buffer.numel()
        holdings[row] = Holding(params, trainable, buffers)
    return holdings, tuple(uncalled)


_NOTHING = Holding()


def make_layers(
    trace: Trace,
    rows: Rows,
    costs: Sequence[Cost],
    fields: Fields,
    boxes: dict[int, Box],
    field_of: Callable[[Value], ReceptiveField],
) -> tuple[Layer, ...]:
    """Return the rows with all their figures."""
    nodes_of_row: list[list[Node]] = [[] for _ in rows.subjects]
    for node, row in zip(trace.nodes, rows.row_of_node, strict=True):
        nodes_of_row[row].append(node)
    backward = _Backward(fields, boxes)
    layers = []
    for row, (subject, nodes) in enumerate(zip(rows.subjects, nodes_of_row, strict=True)):
        kind: Literal["module", "function"]
        if isinstance(subject, ModuleCall):
            kind, module, depth, reused = "module", subject.module, subject.depth, subject.reused
            type_name, leaf = type(module).__name__, not module._modules
            container = depth == 0 or isinstance(module, _CONTAINERS)
            inputs, outputs = subject.inputs, subject.outputs
            first, last = subject.first_node, subject.last_node
        else:
            kind, type_name, leaf, container, reused = "function", subject.op, True, False, False
            depth = trace.calls[subject.call].depth + 1
            inputs, outputs = subject.live_inputs, subject.outputs
            first, last = subject.index, subject.index + 1
        own = costs[nodes[0].index] if len(nodes) == 1 else total([costs[node.index] for node in nodes])
        macs, elementwise, dmas, traffic_bytes = own
        params, trainable, buffers = rows.holdings.get(row, _NOTHING)
        layers.append(
            _layer(
                row,
                rows.names[row],
                type_name,
                kind,
                leaf,
                container,
                depth,
                inputs[0].shape if inputs else None,
                outputs[0].shape if outputs else None,
                params,
                trainable,
                buffers,
                reused,
                macs,
                None if macs is None else 2 * macs,
                elementwise,
                dmas,
                _activation_bytes(nodes) if nodes else 0,
                field_of(outputs[0]) if outputs else _NO_TENSOR,
                backward.of(inputs),
                first,
                last,
                traffic_bytes,
                own.intensity,
            )
        )
    return tuple(layers)


_layer = maker(Layer)
_field = maker(ReceptiveField)
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
_NO_TENSOR = ReceptiveField(kind="unknown", cause="it returned no tensor")
_NO_IMAGE = ReceptiveField(kind="unknown", cause="no tensor that depends on the image comes in")
_NO_EFFECT = ReceptiveField(kind="unknown", cause="the network's output doesn't depend on it")


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
        self.known: dict[tuple[int, int], ReceptiveField] = {}
        """By identity of the box and the shadows, which most operators hand on."""

    def of(self, inputs: Sequence[Value]) -> ReceptiveField:
        """Return the box of a layer's first live input, as a field."""
        for source in inputs:
            if source.constant is None:
                box, shadows = self.boxes.get(source.id), self.fields.of(source)
                if box is None:
                    return _NO_EFFECT
                key = id(box), id(shadows)
                known = self.known.get(key)
                if known is None:
                    known = self.known[key] = self._describe(box, shadows)
                return known
        return _NO_IMAGE

    def _describe(self, box: Box, shadows: Shadows | None) -> ReceptiveField:
        axes = self.fields.axes
        dims = [shadow.dim for shadow in shadows or ()] or [None]
        if None not in dims:
            box = tuple([box[dim] for dim in dims if dim is not None])
        else:
            box = box[2:] if len(box) == 2 + axes else ()
        return _field("local", tuple([high - low + 1 for low, high in box]) or (1,) * axes)
