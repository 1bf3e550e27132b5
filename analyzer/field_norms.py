"""How shadows follow normalisations, softmax, and running sums."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from cifar_report.analyzer.field_mixing import mark_global
from cifar_report.analyzer.field_views import reshaped, with_dim
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.receptive_field import Lookup, Shadows, field_rule
from cifar_report.analyzer.shadow import Shadow, Shape, full, regular
from cifar_report.analyzer.shadow_union import accumulated, hull, union


@field_rule("batch_norm")
def _batch_norm(node: Node, shadows: Lookup) -> Shadows:
    value = node.args[0]
    if not node.args[5]:
        return _scaled(node, shadows, shadows(value), value)
    dims = [d for d in range(len(value.shape)) if d != 1]
    return _scaled(node, shadows, _normalised(node, shadows(value), value, dims), value)


@field_rule("layer_norm", "rms_norm", "native_layer_norm")
def _layer_norm(node: Node, shadows: Lookup) -> Shadows:
    value, shape = node.args[:2]
    rank = len(value.shape)
    result = _normalised(node, shadows(value), value, range(rank - len(shape), rank))
    if len(node.live_inputs) == 1:
        return result
    return _with(node, shadows, result, value, [(v, v.shape) for v in node.live_inputs if v is not value])


@field_rule("group_norm")
def _group_norm(node: Node, shadows: Lookup) -> Shadows:
    value, groups = node.args[:2]
    result = []
    for shadow in shadows(value):
        if shadow.plain and shadow.dim is None:
            result.append(shadow)
            continue
        mixed = _by_group(shadow, value.shape, groups)
        result.append(mark_global(mixed, [shadow], value.shape, node.index))
    return _scaled(node, shadows, tuple(result), value)


def _by_group(shadow: Shadow, shape: Shape, groups: int) -> Shadow:
    """Return the shadow after all units of each group of channels were mixed."""
    rank = len(shape)
    if shadow.plain and shadow.dim != 1:
        return hull(shadow, shape, range(1, rank))
    split = (shape[0], groups, shape[1] // groups, *shape[2:])
    mixed = hull(reshaped(shadow, shape, split), split, range(2, rank + 1))
    lo, hi = (
        np.broadcast_to(full(bounds, rank + 1), (1, groups, split[2], *(1,) * (rank - 2)))
        for bounds in (mixed.lo, mixed.hi)
    )
    own = (1, shape[1], *(1,) * (rank - 2))
    return regular(lo.reshape(own), hi.reshape(own), mixed)


@field_rule("instance_norm")
def _instance_norm(node: Node, shadows: Lookup) -> Shadows:
    value, use_input_stats = node.args[0], node.args[5]
    if not use_input_stats:
        return _scaled(node, shadows, shadows(value), value)
    result = _normalised(node, shadows(value), value, range(2, len(value.shape)))
    return _scaled(node, shadows, result, value)


def _normalised(node: Node, shadows: Shadows, value: Value, dims: Iterable[int]) -> Shadows:
    dims = list(dims)
    return tuple([
        mark_global(hull(s, value.shape, dims), [s], value.shape, node.index)
        if s.dim in dims or not s.plain
        else s
        for s in shadows
    ])  # fmt: skip


def _scaled(node: Node, shadows: Lookup, result: Shadows, value: Value) -> Shadows:
    """Add what scale and shift per channel see, where they depend on the image."""
    if len(node.live_inputs) == 1:
        return result
    extra = (1,) * (len(value.shape) - 2)
    others = [(v, (*v.shape, *extra)) for v in node.live_inputs if v is not value]
    return _with(node, shadows, result, value, others)


def _with(
    node: Node, shadows: Lookup, result: Shadows, value: Value, others: Sequence[tuple[Value, Shape]]
) -> Shadows:
    united = []
    for axis, shadow in enumerate(result):
        parts = [(shadow, value.shape)]
        for other, shape in others:
            own = shadows(other)[axis]
            for dim in range(len(other.shape), len(shape)):
                own = with_dim(own, dim)
            parts.append((own, shape))
        united.append(union(parts, value.shape, node.index))
    return tuple(united)


@field_rule("softmax", "log_softmax", "_softmax", "_log_softmax", "sort", "argsort", "msort", "renorm")
def _along(node: Node, shadows: Lookup) -> Shadows:
    value = node.args[0]
    dim = 0 if node.op == "msort" else node.argument(1, "dim", -1)
    if node.op in ("sort", "argsort") and "stable" in node.kwargs:
        dim = node.kwargs.get("dim", -1)
    return _normalised(node, shadows(value), value, [dim % max(len(value.shape), 1)])


@field_rule("topk")
def _topk(node: Node, shadows: Lookup) -> Shadows:
    value = node.args[0]
    dim = node.argument(2, "dim", -1) % max(len(value.shape), 1)
    return _normalised(node, shadows(value), value, [dim])


@field_rule("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin")
def _running(node: Node, shadows: Lookup) -> Shadows:
    value = node.args[0]
    dim = node.argument(1, "dim", -1) % max(len(value.shape), 1)
    return tuple([accumulated(s, value.shape, dim) for s in shadows(value)])
