"""How shadows follow products: linear layers, matrices, attention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from cifar_report.analyzer.constants import Table, table
from cifar_report.analyzer.field_index import simplified
from cifar_report.analyzer.field_mixing import mark_global
from cifar_report.analyzer.field_views import permuted, without_dim
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.receptive_field import Lookup, NoRule, Shadows, field_rule
from cifar_report.analyzer.shadow import FAR, Shadow, Shape, expand, keep_empty
from cifar_report.analyzer.shadow_union import accumulated, hull, union
from cifar_report.analyzer.shadow_units import at_units


@field_rule("linear")
def _linear(node: Node, shadows: Lookup) -> Shadows:
    value, weight = node.args[:2]
    if len(node.live_inputs) > 1 or not value.live:
        parts = [(value, [-1]), (weight, [-1])]
        if len(node.args) > 2 and isinstance(node.args[2], Value):
            parts.append((node.args[2], []))
        return _product(node, shadows, parts, dropped={1: -1} if len(weight.shape) == 2 else {})
    last = len(value.shape) - 1
    return tuple([
        mark_global(hull(s, value.shape, [last]), [s], node.outputs[0].shape, node.index)
        if s.dim == last or not s.plain
        else s
        for s in shadows(value)
    ])  # fmt: skip


@field_rule("bilinear")
def _bilinear(node: Node, shadows: Lookup) -> Shadows:
    left, right, weight = node.args[:3]
    if weight.live:
        raise NoRule
    return _product(node, shadows, [(left, [-1]), (right, [-1])])


@field_rule("matmul", "bmm", "mm", "mv")
def _matmul(node: Node, shadows: Lookup) -> Shadows:
    left, right = node.args[:2]
    if min(len(left.shape), len(right.shape)) >= 2:
        return _product(node, shadows, [(left, [-1]), (right, [-2])])
    # A vector counts as a row on the left, as a column on the right, and the result has no such dimension.
    if len(left.shape) == 1:
        return _product(node, shadows, [(left, [-1]), (right, [-2])], dropped={1: -2})
    return _product(node, shadows, [(left, [-1]), (right, [-1])], dropped={0: -1})


@field_rule("addmm", "baddbmm", "addmv")
def _addmm(node: Node, shadows: Lookup) -> Shadows:
    bias, left, right = node.args[:3]
    if node.op == "addmv":
        parts = [(left, [-1]), (right, [-1]), (bias, [])]
        return _product(node, shadows, parts, dropped={0: -1})
    return _product(node, shadows, [(left, [-1]), (right, [-2]), (bias, [])])


@field_rule("cdist", "_cdist_forward", "_euclidean_dist")
def _distances(node: Node, shadows: Lookup) -> Shadows:
    """(.., P, M) and (.., R, M) to (.., P, R)."""
    left, right = node.args[:2]
    return _product(node, shadows, [(left, [-1]), (right, [-1])], turned=1)


def _product(
    node: Node,
    shadows: Lookup,
    parts: Sequence[tuple[Value, list[int]]],
    dropped: dict[int, int] | None = None,
    turned: int | None = None,
) -> Shadows:
    """Unite operands after mixing each over the dimensions that the product sums over.

    Args:
        node: the product.
        shadows: of its operands.
        parts: operands, and the dimensions that they are summed over.
        dropped: by an operand's place, one of these dimensions that the result doesn't have.
        turned: place of an operand whose last two dimensions change places.
    """
    out = node.outputs[0].shape
    live = [
        (place, value, [dim % len(value.shape) for dim in dims])
        for place, (value, dims) in enumerate(parts)
        if value.live
    ]
    result = []
    for befores in zip(*[shadows(value) for _, value, _ in live], strict=True):
        operands = []
        for (place, value, dims), before in zip(live, befores, strict=True):
            shape = tuple([1 if d in dims else n for d, n in enumerate(value.shape)])
            shadow = hull(before, value.shape, dims)
            if dropped and place in dropped:
                gone = dropped[place] % len(shape)
                shadow, shape = without_dim(shadow, gone), (*shape[:gone], *shape[gone + 1 :])
            if place == turned:
                order = [*range(len(shape) - 2), len(shape) - 1, len(shape) - 2]
                shadow, shape = permuted(shadow, order), tuple([shape[d] for d in order])
            operands.append((shadow, shape))
        united = union(operands, out, node.index)
        result.append(mark_global(united, befores, out, node.index))
    return tuple(result)


@field_rule("scaled_dot_product_attention")
def _attention(node: Node, shadows: Lookup) -> Shadows:
    """(.., L, E) queries, (.., S, E) keys, (.., S, Ev) values, and perhaps a mask, to (.., L, Ev)."""
    query, key, value = node.args[:3]
    mask = node.argument(3, "attn_mask")
    causal = bool(node.argument(5, "is_causal", False))
    seen = table(mask) if isinstance(mask, Value) and not mask.live else None
    allowed = None if seen is None else (seen if seen.dtype.kind == "b" else seen > -np.inf)
    if not causal and (allowed is None or allowed.all()):
        parts = [(query, [-1]), (key, [-1, -2]), (value, [-2])]
        if isinstance(mask, Value):
            parts.append((mask, [-1]))
        return _product(node, shadows, parts)
    out = node.outputs[0].shape
    result = []
    for axis in range(len(shadows(node.live_inputs[0]))):
        operands, befores = [], []
        for place, operand in enumerate((query, key, value)):
            if not operand.live:
                continue
            before = shadow = shadows(operand)[axis]
            befores.append(before)
            shape = operand.shape
            if place < 2:  # queries and keys are summed over their features, values are not
                shadow, shape = hull(before, shape, [len(shape) - 1]), (*shape[:-1], 1)
            if place > 0:
                shadow = _past(shadow, shape, out[-2]) if causal else _masked(shadow, shape, allowed)
                shape = (*shape[:-2], out[-2], shape[-1])
            operands.append((shadow, shape))
        united = union(operands, out, node.index)
        result.append(mark_global(united, befores, out, node.index))
    return tuple(result)


def _past(shadow: Shadow, shape: Shape, queries: int) -> Shadow:
    """Return what each query sees of keys (.., S, E) no later than itself."""
    dim = len(shape) - 2
    seen = accumulated(shadow, shape, dim)
    return simplified(
        at_units(seen, shape, dim, np.minimum(np.arange(queries), shape[dim] - 1)),
        (*shape[:dim], queries, shape[-1]),
    )


def _masked(shadow: Shadow, shape: Shape, allowed: Table | None) -> Shadow:
    """Return what each query sees of keys (.., S, E) where the mask (.., L, S) is true."""
    assert allowed is not None
    if shadow.plain and shadow.dim is None:
        return shadow
    if allowed.size > _LARGEST_MASK:
        raise NoRule
    sides = []
    visible = allowed.reshape((1,) * (len(shape) - allowed.ndim) + allowed.shape)[..., None]
    for bounds, low in zip(expand(shadow, shape), (True, False), strict=True):
        spread = np.broadcast_to(bounds, (*bounds.shape[:-2], shape[-2], bounds.shape[-1]))[..., None, :, :]
        hidden = FAR if low else -FAR
        masked = np.where(visible, spread, hidden)
        sides.append(masked.min(axis=-2) if low else masked.max(axis=-2))
    lo, hi = keep_empty(sides[0], sides[1])
    return simplified(replace(shadow, lo=lo, hi=hi, dim=None, period=1), lo.shape)


_LARGEST_MASK = 1 << 24
"""Numbers of an attention mask that are looked at one by one."""
