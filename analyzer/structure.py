"""Find structures in the dataflow graph: what an assignment asks for, and what only looks like it.

Each finding names its layers. A near miss counts for nothing and says why, because "one of the layers
must use a depthwise separable convolution" is where most submissions go wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cifar_report.analyzer import windows
from cifar_report.analyzer.analysis import Finding
from cifar_report.analyzer.graph import Node, Trace, Value

PASS_THROUGH = frozenset({
    "batch_norm", "group_norm", "layer_norm", "instance_norm", "relu", "relu6", "hardswish", "hardtanh",
    "hardsigmoid", "silu", "gelu", "sigmoid", "tanh", "elu", "celu", "selu", "leaky_relu", "mish", "prelu",
    "softplus", "dropout", "feature_dropout", "alpha_dropout", "alias", "clone", "contiguous", "detach",
    "clamp", "clamp_min", "to", "_to_copy", "permute", "transpose", "view", "reshape",
})  # fmt: skip
"""What may stand between a depthwise layer and its pointwise one: normalisation, activation, dropout."""

_ADAPTIVE = frozenset(f"adaptive_{kind}_pool{axes}d" for kind in ("avg", "max") for axes in (1, 2, 3))


@dataclass(frozen=True, slots=True)
class Graph:
    """A trace with the way forward: which nodes read what a node computed."""

    trace: Trace
    consumers: dict[int, list[Node]]
    """By value id."""
    layer_name: Callable[[int], str]
    """Names the layer of a node."""

    def after(self, node: Node) -> Iterator[Node]:
        """Yield the nodes that read an output of a node."""
        for value in node.outputs:
            yield from self.consumers.get(value.id, ())

    def descendants(self, node: Node) -> list[Node]:
        """Return every node that depends on a node, in the order of the trace."""
        seen: dict[int, Node] = {}
        front = [node]
        while front:
            for child in self.after(front.pop()):
                if child.index not in seen:
                    seen[child.index] = child
                    front.append(child)
        return [seen[index] for index in sorted(seen)]

    def reached_through(self, node: Node, passing: frozenset[str]) -> list[Node]:
        """Return the first nodes behind a node that aren't of the passing kinds."""
        reached: list[Node] = []
        front, seen = [node], {node.index}
        while front:
            for child in self.after(front.pop()):
                if child.index in seen:
                    continue
                seen.add(child.index)
                (front if child.op in passing else reached).append(child)
        return reached


def find_structures(trace: Trace, layer_name: Callable[[int], str]) -> tuple[Finding, ...]:
    """Return all findings and near misses, in the order of the trace."""
    consumers: dict[int, list[Node]] = {}
    for node in trace.nodes:
        for value in node.live_inputs:
            consumers.setdefault(value.id, []).append(node)
    graph = Graph(trace, consumers, layer_name)
    findings: list[Finding] = []
    gaps = []
    for node in trace.nodes:
        if node.op in windows.CONVOLUTIONS and node.args[0].live:
            findings.extend(_of_convolution(graph, node))
        elif node.op in windows.POOLS:
            findings.extend(_of_pool(graph, node))
        if _merges_map(node):
            finding = _of_global_pooling(graph, node)
            findings.append(finding)
            if finding.found:
                gaps.append(node)
    findings.extend(_heads(graph, gaps))
    return tuple(findings)


def final_gap(trace: Trace, findings: tuple[Finding, ...], layer_name: Callable[[int], str]) -> Node | None:
    """Return the last node that pools the whole map for good."""
    names = {finding.layers[0] for finding in findings if finding.structure == "gap" and finding.found}
    nodes = [node for node in trace.nodes if _merges_map(node) and layer_name(node.index) in names]
    return nodes[-1] if nodes else None


def _of_convolution(graph: Graph, node: Node) -> Iterator[Finding]:
    settings = windows.convolution(node)
    name = graph.layer_name(node.index)
    wide = [axis for axis, kernel in enumerate(settings.kernel) if kernel > 1]
    kernel = "x".join(map(str, settings.kernel))
    if settings.groups > 1 and settings.groups == settings.in_channels:
        yield _depthwise(graph, node, name, kernel, bool(wide))
    elif len(wide) == 1 and len(settings.kernel) == 2 and max(settings.kernel) > 1 and settings.groups == 1:
        partner = _crossed(graph, node, settings)
        if partner is not None:
            yield Finding(
                "depthwise_separable",
                False,
                (name, graph.layer_name(partner.index)),
                f"a {kernel} and a {'x'.join(map(str, settings.kernel[::-1]))} convolution are spatially "
                "separable; groups is 1, so neither works channel by channel",
            )
    if any(dilation > 1 for dilation in settings.dilation):
        axes = [axis for axis in wide if settings.dilation[axis] > 1]
        detail = f"{kernel} kernel, dilation {'x'.join(map(str, settings.dilation))}"
        if axes:
            yield Finding("dilated", True, (name,), detail)
        else:
            yield Finding("dilated", False, (name,), f"{detail}: no axis has both, so nothing is dilated")
    if max(settings.stride) > 1 and not settings.transposed:
        size = "3x3" if settings.kernel == (3, 3) else kernel
        yield Finding("strided_conv", True, (name,), f"{size} kernel, stride {max(settings.stride)}")
    if settings.transposed:
        yield Finding("transposed_conv", True, (name,), f"{kernel} kernel, stride {max(settings.stride)}")


def _depthwise(graph: Graph, node: Node, name: str, kernel: str, wide: bool) -> Finding:
    if not wide:
        detail = f"groups equal channels, but the kernel is {kernel}: it only scales each channel"
        return Finding("depthwise_separable", False, (name,), detail)
    reached = graph.reached_through(node, PASS_THROUGH)
    for child in reached:
        if child.op in windows.CONVOLUTIONS:
            settings = windows.convolution(child)
            if max(settings.kernel) == 1 and settings.groups == 1:
                pointwise = graph.layer_name(child.index)
                detail = f"depthwise {kernel}, then pointwise {'x'.join(map(str, settings.kernel))}"
                return Finding("depthwise_separable", True, (name, pointwise), detail)
        elif child.op == "linear":
            detail = f"depthwise {kernel}, then a linear layer on the channels (a pointwise convolution)"
            return Finding("depthwise_separable", True, (name, graph.layer_name(child.index)), detail)
    found = ", ".join(sorted({_spelled(child) for child in reached})) or "nothing"
    detail = f"a depthwise {kernel} convolution without its pointwise 1x1: {found} comes next"
    return Finding("depthwise_separable", False, (name,), detail)


def _spelled(node: Node) -> str:
    if node.op in windows.CONVOLUTIONS:
        settings = windows.convolution(node)
        groups = f" with {settings.groups} groups" if settings.groups > 1 else ""
        return f"a {'x'.join(map(str, settings.kernel))} convolution{groups}"
    return node.op.removesuffix("_with_indices")


def _crossed(graph: Graph, node: Node, settings: windows.Window) -> Node | None:
    """Return the convolution behind this one whose kernel is the same, turned around."""
    for child in graph.reached_through(node, PASS_THROUGH):
        if child.op in windows.CONVOLUTIONS:
            other = windows.convolution(child)
            if other.kernel == settings.kernel[::-1] and other.groups == 1:
                return child
    return None


def _of_pool(graph: Graph, node: Node) -> Iterator[Finding]:
    settings = windows.pool(node)
    name = graph.layer_name(node.index)
    kernel = "x".join(map(str, settings.kernel))
    kind = "max_pool" if node.op.startswith("max") else "avg_pool"
    if not _merges_map(node):
        detail = f"{kernel} window, stride {'x'.join(map(str, settings.stride))}"
        yield Finding(kind, True, (name,), detail)
        left = node.outputs[0].shape[-len(settings.kernel) :]
        if kind == "avg_pool" and not _works_on_maps(graph.descendants(node)):
            size = "x".join(map(str, left))
            yield Finding("gap", False, (name,), f"it leaves {size} of the map, not 1x1")


def _works_on_maps(nodes: list[Node]) -> bool:
    return any(node.op in windows.CONVOLUTIONS or _merges_map(node) for node in nodes)


def _merges_map(node: Node) -> bool:
    """Return whether an operator reduces a whole map, of more than one unit, to 1x1."""
    value = node.args[0] if node.args else None
    if not isinstance(value, Value) or not value.live or len(value.shape) < 3:
        return False
    spatial = value.shape[2:]
    if max(spatial) == 1:
        return False
    if node.op.removeprefix("_") in _ADAPTIVE:
        return all(size == 1 for size in node.outputs[0].shape[2:])
    if node.op in windows.POOLS:
        return all(size == 1 for size in node.outputs[0].shape[2:]) and windows.pool(node).kernel == spatial
    if node.op in ("mean", "amax") and len(value.shape) > 3:
        dims = node.argument(1, "dim")
        dims = [dims] if isinstance(dims, int) else dims or []
        return sorted(d % len(value.shape) for d in dims) == list(range(2, len(value.shape)))
    return False


def _of_global_pooling(graph: Graph, node: Node) -> Finding:
    name = graph.layer_name(node.index)
    size = "x".join(map(str, node.args[0].shape[2:]))
    for child in graph.descendants(node):
        shape = child.outputs[0].shape if child.outputs else ()
        if len(shape) > 2 and max(shape[2:]) > 1 and len(shape) == len(node.args[0].shape):
            detail = (
                f"{size} to 1x1, but {graph.layer_name(child.index)} spreads it over a map again: a gate "
                "(squeeze and excitation) or a pyramid, not the pooling at the end"
            )
            return Finding("gap", False, (name,), detail)
    if "max" in node.op:
        return Finding("gap", False, (name,), f"{size} to 1x1, but by the maximum, not the average")
    return Finding("gap", True, (name,), f"{size} to 1x1")


def _heads(graph: Graph, gaps: list[Node]) -> Iterator[Finding]:
    """Yield the layers with weights behind global average pooling."""
    seen: set[int] = set()
    for gap in gaps:
        for child in graph.descendants(gap):
            if child.index in seen or child.op not in windows.CONVOLUTIONS | {
                "linear",
                "addmm",
                "matmul",
                "mm",
            }:
                continue
            seen.add(child.index)
            kind = "a linear layer" if child.op not in windows.CONVOLUTIONS else "a convolution on 1x1"
            layers = (graph.layer_name(child.index), graph.layer_name(gap.index))
            yield Finding("fc_after_gap", True, layers, f"{kind} after global average pooling")
