"""How shadows follow operators that mix whole dimensions: reductions, Fourier transforms, matrices."""

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


_SECOND = frozenset({"norm", "linalg_vector_norm", "kthvalue"})
"""Reductions that name something else before the dimensions."""


@field_rule("mean", "sum", "amax", "amin", "aminmax", "var", "std", "var_mean", "std_mean", "max", "min",
            "median", "prod", "any", "all", "argmax", "argmin", "logsumexp", "norm", "linalg_vector_norm",
            "nansum", "nanmean", "nanmedian", "kthvalue", "mode", "count_nonzero")  # fmt: skip
def _reduction(node: Node, shadows: Lookup) -> Shadows:
    values = list(node.live_inputs)
    value, out = values[0], node.outputs[0].shape
    if len(values) > 1:  # max(a, b) of two tensors
        return elementwise(node, shadows)
    rank = len(value.shape)
    dims = node.argument(
        2 if node.op in _SECOND else 1, "dim", -1 if node.op in ("kthvalue", "mode") else None
    )
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


@field_rule("_fft_r2c", "_fft_c2c", "_fft_c2r")
def _fourier(node: Node, shadows: Lookup) -> Shadows:
    value, dims = node.args[:2]
    return _hulls(node, shadows(value), value, dims)


def _hulls(node: Node, shadows: Shadows, value: Value, dims: Sequence[int]) -> Shadows:
    dims = [dim % len(value.shape) for dim in dims]
    out = node.outputs[0].shape
    return tuple([mark_global(hull(s, value.shape, dims), [s], out, node.index) for s in shadows])


@field_rule("linalg_inv_ex", "linalg_cholesky_ex", "linalg_qr", "_linalg_svd", "_linalg_eigh", "linalg_eig",
            "_linalg_det", "_linalg_slogdet", "linalg_lu_factor_ex", "linalg_solve_triangular",
            "_linalg_solve_ex", "linalg_matrix_exp", "linalg_pinv")  # fmt: skip
def _matrices(node: Node, shadows: Lookup) -> Shadows:
    """Every number of the result may depend on every number of the matrices."""
    result = []
    for axis in zip(*[shadows(value) for value in node.live_inputs], strict=True):
        shapes = [value.shape for value in node.live_inputs]
        mixed = [hull(s, n, [len(n) - 2, len(n) - 1]) for s, n in zip(axis, shapes, strict=True)]
        if any(s.dim is not None or not s.plain for s in mixed):
            raise NoRule  # it differs from matrix to matrix, and outputs have fewer dimensions
        shadow = union([(s, (1, 1)) for s in mixed], (1, 1), node.index)
        result.append(mark_global(shadow, axis, node.outputs[0].shape, node.index))
    return tuple(result)


@field_rule("nonzero", "masked_select", "_unique2", "unique_consecutive", "unique_dim", "bincount", "histc",
            "multinomial", "dot", "vdot", "trace")  # fmt: skip
def _all(node: Node, shadows: Lookup) -> Shadows:
    """Any unit of the result may depend on every unit of the operands."""
    result = []
    for axis in zip(*[shadows(value) for value in node.live_inputs], strict=True):
        mixed = [
            hull(s, value.shape, range(len(value.shape)))
            for s, value in zip(axis, node.live_inputs, strict=True)
        ]
        shadow = union([(s, ()) for s in mixed], (), node.index)
        result.append(mark_global(shadow, axis, node.outputs[0].shape, node.index))
    return tuple(result)


@field_rule("torchvision::deform_conv2d")
def anywhere_on_the_map(node: Node, shadows: Lookup) -> Shadows:
    """Offsets, or a grid, that depend on the image may point anywhere on it."""
    value, *others = node.args[:4]
    out = node.outputs[0].shape
    result = []
    for axis in range(len(shadows(node.live_inputs[0]))):
        befores = [(shadows(v)[axis], v.shape) for v in [value, *others] if isinstance(v, Value) and v.live]
        parts = [(hull(s, n, range(len(n))), (1,) * len(out)) for s, n in befores]
        shadow = union(parts, out, node.index)
        result.append(mark_global(shadow, [s for s, _ in befores], out, node.index))
    return tuple(result)
