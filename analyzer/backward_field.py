"""The receptive field of the network's output with respect to each layer's input, counted backwards.

One unit in the middle of the output is followed back through the graph: for every value, the box of
its units (an interval per dimension) that this unit depends on. Boxes may reach into the padding, so
the sizes are theoretical, as forwards. A dimension that is mixed as a whole counts as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from cifar_report.analyzer import windows
from cifar_report.analyzer.costs import MACS
from cifar_report.analyzer.field_elementwise import ELEMENTWISE
from cifar_report.analyzer.field_views import blocks
from cifar_report.analyzer.graph import Node, Trace, Value
from cifar_report.analyzer.receptive_field import Fields

Interval = tuple[int, int]
Box = tuple[Interval, ...]


_SAME = frozenset(ELEMENTWISE) | {"batch_norm", "alias_write"}


def whole(value: Value) -> Box:
    """Return the box of all of a value's units."""
    return tuple([(0, size - 1) for size in value.shape])


def compute_boxes(trace: Trace, fields: Fields) -> dict[int, Box]:
    """Return, by value id, the units that one unit in the middle of the output depends on."""
    output = trace.outputs[0]
    boxes: dict[int, Box] = {output.id: _middle(output, fields)}
    for node in reversed(trace.nodes):
        for out in node.outputs:
            box = boxes.get(out.id)
            if box is None:
                continue
            for value, wanted in _pull_back(node, out, box):
                known = boxes.get(value.id)
                boxes[value.id] = wanted if known is None or known == wanted else _hull(known, wanted)
    return boxes


def _hull(left: Box, right: Box) -> Box:
    return tuple([
        (a[0] if a[0] < b[0] else b[0], a[1] if a[1] > b[1] else b[1])
        for a, b in zip(left, right, strict=True)
    ])  # fmt: skip


def _middle(value: Value, fields: Fields) -> Box:
    shadows = fields.shadows.get(value.id, ())
    moving = {shadow.dim for shadow in shadows}
    return tuple([
        (size // 2, size // 2) if dim in moving else (0, size - 1) for dim, size in enumerate(value.shape)
    ])  # fmt: skip


def _pull_back(node: Node, out: Value, box: Box) -> list[tuple[Value, Box]]:
    values = node.live_inputs
    if node.op in _SAME:
        return [(value, _aligned(value, out, box)) for value in values]
    rule = _RULES.get(node.op)
    if rule is not None:
        wanted = rule(node, out, box)
        if wanted is not None:
            return [(values[0], wanted), *[(value, whole(value)) for value in values[1:]]]
    if node.op == "copy":
        return [(value, _aligned(value, out, box)) for value in values if value is node.args[1]]
    if node.op in ("write_slice", "write_select"):
        return [(value, wanted) for value, wanted in _write(node, box) if value.live]
    if node.op in ("cat", "concat", "concatenate"):
        return _cat(node, box)
    return [(value, whole(value)) for value in values]


def _aligned(value: Value, out: Value, box: Box) -> Box:
    """Return the box of an operand, which may have been broadcast."""
    if value.shape == out.shape:
        return box
    extra = len(box) - len(value.shape)
    return tuple([
        (0, 0) if size == 1 and wide > 1 else interval
        for size, wide, interval in zip(value.shape, out.shape[extra:], box[extra:], strict=True)
    ])  # fmt: skip


Rule = Callable[[Node, Value, Box], Box | None]
_RULES: dict[str, Rule] = {}


def _rule(*names: str) -> Callable[[Rule], Rule]:
    def register(function: Rule) -> Rule:
        for name in names:
            _RULES[name] = function
        return function

    return register


@_rule(*windows.CONVOLUTIONS, *windows.POOLS)
def _window(node: Node, out: Value, box: Box) -> Box:
    convolves = node.op in MACS
    settings = windows.convolution(node) if convolves else windows.pool(node)
    value: Value = node.args[0]
    first = len(value.shape) - len(settings.kernel)
    # Every channel of a map sees alike, so the channels count as a whole.
    result = [(0, size - 1) for size in value.shape[:first]]
    for axis, kernel in enumerate(settings.kernel):
        low, high = box[first + axis]
        stride, padding = settings.stride[axis], settings.padding[axis]
        reach = (kernel - 1) * settings.dilation[axis]
        if settings.transposed:
            result.append((-((reach - low - padding) // stride), (high + padding) // stride))
        else:
            result.append((low * stride - padding, high * stride - padding + reach))
    return tuple(result)


@_rule("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d",
       "adaptive_max_pool2d", "adaptive_max_pool3d", "_adaptive_avg_pool2d",
       "_adaptive_avg_pool3d")  # fmt: skip
def _adaptive_pool(node: Node, out: Value, box: Box) -> Box:
    value: Value = node.args[0]
    return tuple([
        (low, high) if n == m else (low * n // m, -(-(high + 1) * n // m) - 1)
        for n, m, (low, high) in zip(value.shape, out.shape, box, strict=True)
    ])  # fmt: skip


@_rule("permute")
def _permute(node: Node, out: Value, box: Box) -> Box:
    order = [dim % len(box) for dim in node.argument(1, "dims")]
    return tuple([box[order.index(dim)] for dim in range(len(box))])


@_rule("transpose", "swapaxes", "swapdims")
def _transpose(node: Node, out: Value, box: Box) -> Box:
    first, second = (dim % len(box) for dim in node.args[1:3])
    result = list(box)
    result[first], result[second] = result[second], result[first]
    return tuple(result)


@_rule("view", "reshape", "_unsafe_view", "flatten", "unflatten", "view_as", "reshape_as", "squeeze",
       "unsqueeze")  # fmt: skip
def _reshape(node: Node, out: Value, box: Box) -> Box | None:
    value: Value = node.args[0]
    if prod(value.shape) != prod(out.shape):
        return None
    result: list[Interval] = [(0, size - 1) for size in value.shape]
    for old_dims, new_dims in blocks(value.shape, out.shape):
        old = [dim for dim in old_dims if value.shape[dim] > 1]
        new = [dim for dim in new_dims if out.shape[dim] > 1]
        if len(old) == len(new) == 1:
            result[old[0]] = box[new[0]]
    return tuple(result)


@_rule("slice", "narrow")
def _slice(node: Node, out: Value, box: Box) -> Box:
    value: Value = node.args[0]
    dim = node.argument(1, "dim", 0) % len(value.shape)
    start, step = node.argument(2, "start") or 0, 1
    if node.op == "slice":
        start, _, step = slice(start, None, node.argument(4, "step", 1)).indices(value.shape[dim])
    low, high = box[dim]
    return (*box[:dim], (start + low * step, start + high * step), *box[dim + 1 :])


@_rule("chunk", "split", "split_with_sizes", "tensor_split", "unsafe_chunk", "unsafe_split")
def _split(node: Node, out: Value, box: Box) -> Box:
    dim = node.argument(2, "dim", 0) % len(box)
    start = 0
    for other in node.outputs:
        if other is out:
            break
        start += other.shape[dim]
    low, high = box[dim]
    return (*box[:dim], (start + low, start + high), *box[dim + 1 :])


@_rule("constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d", "replication_pad1d",
       "replication_pad2d", "replication_pad3d")  # fmt: skip
def _pad(node: Node, out: Value, box: Box) -> Box:
    result = list(box)
    for pair, padding in enumerate(node.args[1][::2]):
        dim = len(box) - 1 - pair
        result[dim] = (box[dim][0] - padding, box[dim][1] - padding)
    return tuple(result)


@_rule("mean", "sum", "amax", "amin")
def _reduction(node: Node, out: Value, box: Box) -> Box | None:
    value: Value = node.args[0]
    if len(out.shape) != len(value.shape):
        return None
    return tuple([
        interval if n == m else (0, n - 1)
        for n, m, interval in zip(value.shape, out.shape, box, strict=True)
    ])  # fmt: skip


def _write(node: Node, box: Box) -> list[tuple[Value, Box]]:
    """Split what is wanted of a tensor into what is left of it and what was written to it."""
    base, written, dim, start = node.args[:4]
    if node.op == "write_select":
        return [(base, box), (written, (*box[:dim], *box[dim + 1 :]))]
    step = node.args[4]
    low, high = ((edge - start) // step for edge in box[dim])
    low, high = max(low, 0), min(high, written.shape[dim] - 1)
    inner = [(written, (*box[:dim], (low, high), *box[dim + 1 :]))] if low <= high else []
    return [(base, box), *inner]


def _cat(node: Node, box: Box) -> list[tuple[Value, Box]]:
    dim = node.argument(1, "dim", 0) % len(box)
    before, (first, last), behind = box[:dim], box[dim], box[dim + 1 :]
    result, start = [], 0
    for value in node.args[0]:
        size = value.shape[dim]
        low, high = max(first - start, 0), min(last - start, size - 1)
        if value.constant is None and low <= high:
            result.append((value, (*before, (low, high), *behind)))
        start += size
    return result
