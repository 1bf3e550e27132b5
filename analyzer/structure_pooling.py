"""What pooling shows: max pools, global average pooling, and fully connected layers after it."""

from __future__ import annotations

from collections.abc import Iterator

from cifar_report.analyzer import windows
from cifar_report.analyzer.analysis import Finding
from cifar_report.analyzer.dataflow import Dataflow, map_size
from cifar_report.analyzer.graph import Node, Trace, Value
from cifar_report.analyzer.operators import PRODUCTS
from cifar_report.analyzer.receptive_field import Fields, sees_nothing
from cifar_report.analyzer.structure_convolutions import spelled

ADAPTIVE = frozenset(
    f"{prefix}adaptive_{kind}_pool{axes}d"
    for prefix in ("", "_")
    for kind in ("avg", "max")
    for axes in (1, 2, 3)
)
REDUCTIONS = frozenset({"mean", "sum", "amax"})

Dims = tuple[int, ...]


def pooled_dims(node: Node, fields: Fields) -> Dims:
    """Return the dimensions of a map that an operator merges into one unit, empty if it doesn't.

    Which dimensions hold the map is told by the receptive field: those along which it moves. Where it
    doesn't tell (behind attention), the map of an image stands at the end, and tokens stand at 1.
    """
    value = node.args[0] if node.args else None
    if not isinstance(value, Value) or not value.live or len(value.shape) < 3:
        return ()
    rank, out = len(value.shape), node.outputs[0].shape
    if node.op in ADAPTIVE or node.op in windows.POOLS:
        axes = 1 if "1d" in node.op else 2 if "2d" in node.op else 3
        dims = tuple(range(rank - axes, rank))
        merged = all(out[dim] == 1 for dim in dims)
        if node.op in windows.POOLS:
            merged = merged and all(
                k >= value.shape[d] for d, k in zip(dims, windows.pool(node).kernel, strict=True)
            )
        return dims if merged and any(value.shape[dim] > 1 for dim in dims) else ()
    if node.op not in REDUCTIONS:
        return ()
    wanted = node.argument(1, "dim")
    wanted = [wanted] if isinstance(wanted, int) else wanted or []
    dims = tuple(sorted({dim % rank for dim in wanted}))
    if not dims or all(value.shape[dim] == 1 for dim in dims):
        return ()
    if sees_nothing(fields.of(value) or ()):
        return ()
    moving = _moving_dims(value, fields)
    if moving:
        return dims if moving <= set(dims) else ()
    return dims if dims == (tuple(range(2, rank)) if rank > 3 else (1,)) else ()


def pooled_map(trace: Trace, gap: Node) -> Value:
    """Return the map that global pooling merges, which may take it an axis at a time."""
    value: Value = gap.args[0]
    while gap.op in REDUCTIONS and value.producer >= 0:
        producer = trace.nodes[value.producer]
        if producer.op != gap.op:
            break
        value = producer.args[0]
    return value


def _moving_dims(value: Value, fields: Fields) -> set[int]:
    """Return the dimensions along which units see different parts of the image; channels aside."""
    found: set[int] = set()
    for shadow in fields.of(value) or ():
        if shadow.dim is not None:
            found.add(shadow.dim)
            continue
        for bounds in (shadow.lo, shadow.hi):
            if not isinstance(bounds, int):
                found |= {dim for dim, size in enumerate(bounds.shape) if size > 1}
    return found - {1} if len(value.shape) > 3 and len(found) > len(fields.image) else found


def of_pool(flow: Dataflow, node: Node, whole: bool) -> Iterator[Finding]:
    """Yield what one pool with a window shows.

    Args:
        flow: the trace.
        node: the pool.
        whole: it merges its whole map, which `of_reduction` tells.
    """
    settings = windows.pool(node)
    name = flow.name(node)
    kind = "max_pool" if node.op.startswith("max") else "avg_pool"
    if whole:
        return
    detail = f"{spelled(settings.kernel)} window, stride {spelled(settings.stride)}"
    yield Finding(kind, True, (name,), detail)
    if max(settings.dilation) > 1:
        yield Finding("dilated", False, (name,), f"{detail}: a dilated pool is no dilated convolution")
    if kind == "avg_pool" and not _works_on_maps_after(flow, node):
        left = spelled(node.outputs[0].shape[-len(settings.kernel) :])
        yield Finding("gap", False, (name,), f"it leaves {left} of the map, not 1x1")


def _works_on_maps_after(flow: Dataflow, node: Node) -> bool:
    def works(child: Node) -> bool:
        if child.op in windows.CONVOLUTIONS or child.op in windows.POOLS or child.op in ADAPTIVE:
            return True
        value = child.args[0] if child.args else None
        return child.op in REDUCTIONS and isinstance(value, Value) and max(map_size(value), default=1) > 1

    return flow.first_descendant(node, "works on maps", works) is not None


def of_reduction(flow: Dataflow, node: Node, dims: Dims) -> Finding:
    """Return whether an operator that merges its whole map is the global pooling of a network."""
    name = flow.name(node)
    value: Value = node.args[0]
    size = spelled(tuple([value.shape[dim] for dim in dims]))
    rank = len(value.shape)
    wide = tuple([dim for dim in dims if value.shape[dim] > 1])

    def spreads(child: Node) -> bool:
        shape = child.outputs[0].shape if child.outputs else ()
        return len(shape) == rank and all(shape[dim] > 1 for dim in wide)

    child = flow.first_descendant(node, ("spreads", rank, wide), spreads)
    if child is not None:
        detail = (
            f"{size} to 1x1, but {flow.name(child)} spreads it over a map again: a gate "
            "(squeeze and excitation) or a pyramid, not the pooling at the end"
        )
        return Finding("gap", False, (name,), detail)
    if "max" in node.op:
        return Finding("gap", False, (name,), f"{size} to 1x1, but by the maximum, not the average")
    if node.op == "sum" and not any(child.op in ("div", "mul") for child in flow.after(node)):
        return Finding("gap", False, (name,), f"{size} to 1x1, but by the sum, not the average")
    return Finding("gap", True, (name,), f"{size} to 1x1")


def of_adaptive(flow: Dataflow, node: Node) -> Iterator[Finding]:
    """Yield why an adaptive average pool is not the global pooling of a network."""
    if node.op not in ADAPTIVE or "max" in node.op:
        return
    before, left = map_size(node.args[0]), map_size(node.outputs[0])
    if max(before, default=1) == 1:
        yield Finding("gap", False, (flow.name(node),), "its map is 1x1 already, so it pools nothing")
    elif max(left, default=1) > 1 and not _works_on_maps_after(flow, node):
        yield Finding("gap", False, (flow.name(node),), f"it leaves {spelled(left)} of the map, not 1x1")


def heads(flow: Dataflow, gaps: list[Node]) -> Iterator[Finding]:
    """Yield the layers with weights behind global average pooling."""
    seen: set[int] = set()
    for gap in gaps:
        for child in flow.descendants(gap, seen):
            if child.op not in PRODUCTS or all(value.live for value in child.inputs[:2]):
                continue  # the product of two activations has no weights
            convolves = child.op in windows.CONVOLUTIONS
            kind = "a convolution on 1x1 is a linear layer" if convolves else "a linear layer"
            layers = (flow.name(child), flow.name(gap))
            yield Finding("fc_after_gap", True, layers, f"{kind}, after global average pooling")
