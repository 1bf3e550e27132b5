"""How shadows follow operators that mix whole dimensions: normalisations, reductions, products, attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cifar_report.analyzer.field_elementwise import elementwise
from cifar_report.analyzer.field_views import without_dim
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.receptive_field import Lookup, NoRule, Shadows, field_rule
from cifar_report.analyzer.shadow import Shadow, Shape
from cifar_report.analyzer.shadow_union import hull, union


def mark_global(after: Shadow, before: Sequence[Shadow], out_shape: Shape, node: int) -> Shadow:
    """Name the node after which every unit of a map sees everything that its operands saw.

    A pooling to 1x1 keeps no map, and a linear layer on flattened features none either: their fields
    stay exact and local.
    """
    if after.cause is not None or after.dim is not None or not after.plain:
        return after
    varied = any(s.dim is not None or not s.plain for s in before)
    return replace(after, cause=node) if varied and any(n > 1 for n in out_shape[2:]) else after


@field_rule("batch_norm")
def _batch_norm(node: Node, shadows: Lookup) -> Shadows:
    value = node.args[0]
    if not node.args[5]:
        return shadows(value)
    return _normalised(node, shadows(value), value, [d for d in range(len(value.shape)) if d != 1])


@field_rule("layer_norm")
def _layer_norm(node: Node, shadows: Lookup) -> Shadows:
    value, shape = node.args[:2]
    rank = len(value.shape)
    return _normalised(node, shadows(value), value, range(rank - len(shape), rank))


@field_rule("rms_norm")
def _rms_norm(node: Node, shadows: Lookup) -> Shadows:
    return _layer_norm(node, shadows)


@field_rule("group_norm")
def _group_norm(node: Node, shadows: Lookup) -> Shadows:
    # Groups of channels are normalised apart; the hull over all of them is exact as soon as the map's
    # channels see alike, and an upper bound otherwise.
    value = node.args[0]
    return _normalised(node, shadows(value), value, range(1, len(value.shape)))


@field_rule("instance_norm")
def _instance_norm(node: Node, shadows: Lookup) -> Shadows:
    value, use_input_stats = node.args[0], node.args[5]
    if not use_input_stats:
        return shadows(value)
    return _normalised(node, shadows(value), value, range(2, len(value.shape)))


def _normalised(node: Node, shadows: Shadows, value: Value, dims: Sequence[int]) -> Shadows:
    dims = list(dims)
    return tuple([
        mark_global(hull(s, value.shape, dims), [s], value.shape, node.index)
        if s.dim in dims or not s.plain
        else s
        for s in shadows
    ])  # fmt: skip


@field_rule("softmax", "log_softmax", "_softmax", "_log_softmax", "cumsum", "cumprod", "sort", "argsort",
            "logcumsumexp", "normalize")  # fmt: skip
def _along(node: Node, shadows: Lookup) -> Shadows:
    value = node.args[0]
    dim = node.argument(1, "dim", -1) % max(len(value.shape), 1)
    return _normalised(node, shadows(value), value, [dim])


@field_rule("mean", "sum", "amax", "amin", "aminmax", "var", "std", "var_mean", "std_mean", "max", "min",
            "median", "prod", "any", "all", "argmax", "argmin", "logsumexp", "norm", "linalg_vector_norm",
            "nansum", "nanmean")  # fmt: skip
def _reduction(node: Node, shadows: Lookup) -> Shadows:
    values = list(node.live_inputs)
    value, out = values[0], node.outputs[0].shape
    if len(values) > 1:  # max(a, b) of two tensors
        return elementwise(node, shadows)
    rank = len(value.shape)
    dims = node.argument(2 if node.op in ("norm", "linalg_vector_norm") else 1, "dim")
    if isinstance(dims, bool):  # var(unbiased) over everything
        dims = None
    dims = range(rank) if dims is None or dims == [] else [dims] if isinstance(dims, int) else dims
    dims = sorted(dim % rank for dim in dims)
    result = []
    for before in shadows(value):
        shadow = mark_global(hull(before, value.shape, dims), [before], out, node.index)
        if len(out) < rank:
            for dim in reversed(dims):
                shadow = without_dim(shadow, dim)
        result.append(shadow)
    return tuple(result)


@field_rule("linear")
def _linear(node: Node, shadows: Lookup) -> Shadows:
    value, weight = node.args[:2]
    if weight.live:
        raise NoRule
    last = len(value.shape) - 1
    return tuple([
        mark_global(hull(s, value.shape, [last]), [s], node.outputs[0].shape, node.index)
        if s.dim == last or not s.plain
        else s
        for s in shadows(value)
    ])  # fmt: skip


@field_rule("matmul", "bmm", "mm")
def _matmul(node: Node, shadows: Lookup) -> Shadows:
    left, right = node.args[:2]
    if min(len(left.shape), len(right.shape)) < 2:
        raise NoRule
    return _product(node, shadows, [(left, [-1]), (right, [-2])])


@field_rule("addmm", "baddbmm")
def _addmm(node: Node, shadows: Lookup) -> Shadows:
    bias, left, right = node.args[:3]
    return _product(node, shadows, [(left, [-1]), (right, [-2]), (bias, [])])


@field_rule("scaled_dot_product_attention")
def _attention(node: Node, shadows: Lookup) -> Shadows:
    query, key, value = node.args[:3]
    mask = node.argument(3, "attn_mask")
    parts = [(query, [-1]), (key, [-1, -2]), (value, [-2])]
    if isinstance(mask, Value):
        parts.append((mask, [-1]))
    return _product(node, shadows, parts)


def _product(node: Node, shadows: Lookup, parts: Sequence[tuple[Value, list[int]]]) -> Shadows:
    """Unite operands after mixing each over the dimensions that the product sums over."""
    out = node.outputs[0].shape
    live = [(value, [dim % len(value.shape) for dim in dims]) for value, dims in parts if value.live]
    result = []
    for befores in zip(*[shadows(value) for value, _ in live], strict=True):
        operands = []
        for (value, dims), before in zip(live, befores, strict=True):
            shape = tuple([1 if d in dims else n for d, n in enumerate(value.shape)])
            operands.append((hull(before, value.shape, dims), shape))
        shadow = union(operands, out, node.index)
        result.append(mark_global(shadow, befores, out, node.index))

    return tuple(result)
