"""How shadows follow operators that compute: windows, mixing, elementwise operators, reductions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import gcd

import numpy as np

from cifar_report.analyzer import windows
from cifar_report.analyzer.field_views import without_dim
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.receptive_field import Lookup, NoRule, Shadows, field_rule
from cifar_report.analyzer.shadow import (
    EMPTY,
    Array,
    Shadow,
    Shape,
    expand,
    hull,
    resample,
    transposed_window,
    union,
    window,
)

ELEMENTWISE = (
    "abs", "acos", "add", "addcdiv", "addcmul", "alias", "asin", "atan", "atan2", "bitwise_and",
    "bitwise_not", "bitwise_or", "bitwise_xor", "ceil", "celu", "clamp", "clamp_max", "clamp_min", "clip",
    "clone", "contiguous", "copysign", "cos", "cosh", "detach", "div", "divide", "dropout", "elu",
    "eq", "erf", "erfc", "exp", "exp2", "expm1", "feature_dropout", "float_power", "floor",
    "floor_divide", "fmod", "ge", "gelu", "gt", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "isfinite", "isinf", "isnan", "le", "leaky_relu", "lerp", "lift_fresh", "log", "log10", "log1p", "log2",
    "log_sigmoid", "logical_and", "logical_not", "logical_or", "logical_xor", "logit", "lt", "masked_fill",
    "maximum", "minimum", "mish", "mul", "multiply", "nan_to_num", "ne", "neg", "negative", "pow",
    "prelu", "reciprocal", "relu", "relu6", "remainder", "round", "rrelu", "rsqrt", "rsub", "selu", "sgn",
    "sigmoid", "sign", "silu", "sin", "sinc", "sinh", "softplus", "softshrink", "sqrt", "square", "sub",
    "subtract", "tan", "tanh", "threshold", "true_divide", "trunc", "where", "xlogy", "to", "_to_copy",
    "type_as", "float", "half", "alpha_dropout", "feature_alpha_dropout", "native_dropout",
)  # fmt: skip


def mark_global(after: Shadow, before: Sequence[Shadow], out_shape: Shape, node: int) -> Shadow:
    """Name the node after which every unit of a map sees everything that its operands saw.

    A pooling to 1x1 keeps no map, and a linear layer on flattened features none either: their fields
    stay exact and local.
    """
    if after.cause is not None or after.dim is not None or not after.plain:
        return after
    varied = any(s.dim is not None or not s.plain for s in before)
    return replace(after, cause=node) if varied and any(n > 1 for n in out_shape[2:]) else after


@field_rule(*ELEMENTWISE)
def _elementwise(node: Node, shadows: Lookup) -> Shadows:
    out = node.outputs[0].shape
    values = list(node.live_inputs())
    if len(values) == 1 and values[0].shape == out:
        return shadows(values[0])
    axes = zip(*[shadows(v) for v in values], strict=True)
    return tuple([
        union(list(zip(axis, [v.shape for v in values], strict=True)), out, node.index) for axis in axes
    ])  # fmt: skip


@field_rule("fill", "zero", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like",
            "new_zeros", "new_ones", "new_full", "new_empty", "bernoulli")  # fmt: skip
def _blank(node: Node, shadows: Lookup) -> Shadows:
    return (EMPTY,) * len(shadows(next(node.live_inputs())))


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


def mix_channels(shadow: Shadow, shape: Shape, groups: int, out_channels: int) -> Shadow:
    """Return the shadow after each output channel saw all input channels of its group."""
    if shadow.plain and shadow.dim != 1:
        return shadow
    if groups == 1:
        return hull(shadow, shape, [1])
    if shadow.dim == 1:
        lo, hi = expand(shadow, shape)
        shadow = replace(shadow, lo=lo, hi=hi, dim=None)
    grouped = []
    for bounds, low in ((shadow.lo, True), (shadow.hi, False)):
        if isinstance(bounds, int) or bounds.shape[1] == 1:
            grouped.append(bounds)
            continue
        split = bounds.reshape(bounds.shape[0], groups, -1, *bounds.shape[2:])
        mixed: Array = split.min(axis=2) if low else split.max(axis=2)
        grouped.append(np.repeat(mixed, out_channels // groups, axis=1))
    return replace(shadow, lo=grouped[0], hi=grouped[1])


@field_rule("conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
            "convolution", "_convolution")  # fmt: skip
def _convolution(node: Node, shadows: Lookup) -> Shadows:
    settings, value = windows.convolution(node), node.args[0]
    if not value.live:
        raise NoRule  # the weights depend on the image, what they slide over doesn't
    if node.args[1].live:
        raise NoRule
    out, rank = node.outputs[0].shape, len(value.shape)
    slide = transposed_window if settings.transposed else window
    lead = rank - len(settings.kernel) - 1  # an unbatched input has its channels at 0
    if lead != 1:
        raise NoRule
    result = []
    for shadow in shadows(value):
        shadow = mix_channels(shadow, value.shape, settings.groups, out[1])
        shape = (value.shape[0], out[1], *value.shape[2:])
        for axis, kernel in enumerate(settings.kernel):
            dim = axis + 2
            shadow = slide(
                shadow, shape, dim, out[dim], kernel,
                settings.stride[axis], settings.padding[axis], settings.dilation[axis],
            )  # fmt: skip
            shape = (*shape[:dim], out[dim], *shape[dim + 1 :])
        result.append(shadow)
    return tuple(result)


@field_rule("max_pool1d", "max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d",
            "max_pool1d_with_indices", "max_pool2d_with_indices", "max_pool3d_with_indices")  # fmt: skip
def _pool(node: Node, shadows: Lookup) -> Shadows:
    settings, value = windows.pool(node), node.args[0]
    out = node.outputs[0].shape
    first = len(value.shape) - len(settings.kernel)
    result = []
    for shadow in shadows(value):
        shape = value.shape
        for axis, kernel in enumerate(settings.kernel):
            dim = first + axis
            shadow = window(
                shadow, shape, dim, out[dim], kernel,
                settings.stride[axis], settings.padding[axis], settings.dilation[axis],
            )  # fmt: skip
            shape = (*shape[:dim], out[dim], *shape[dim + 1 :])
        result.append(shadow)
    return tuple(result)


@field_rule("adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "_adaptive_avg_pool2d",
            "_adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
            "adaptive_max_pool3d")  # fmt: skip
def _adaptive_pool(node: Node, shadows: Lookup) -> Shadows:
    """Output j averages the units floor(j * n / m) .. ceil((j + 1) * n / m) - 1 of n for m outputs."""
    value, out = node.args[0], node.outputs[0].shape
    axes = 1 if node.op.endswith("1d") else 2 if node.op.endswith("2d") else 3
    result = []
    for shadow in shadows(value):
        shape = value.shape
        for dim in range(len(shape) - axes, len(shape)):
            n, m = shape[dim], out[dim]
            if m == 1:
                shadow = hull(shadow, shape, [dim])
            elif n != m:
                period = m // gcd(n, m)
                first = [j * n // m for j in range(period)]
                last = [-(-(j + 1) * n // m) - 1 for j in range(period)]
                width = max(b - a for a, b in zip(first, last, strict=True))
                units = np.minimum(np.array(first)[:, None] + np.arange(width + 1), np.array(last)[:, None])
                shadow = resample(shadow, shape, dim, m, units, n // gcd(n, m))
            shape = (*shape[:dim], m, *shape[dim + 1 :])
        result.append(shadow)
    return tuple(result)


@field_rule("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d",
            "_upsample_nearest_exact2d", "_upsample_nearest_exact3d", "upsample_linear1d",
            "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d")  # fmt: skip
def _interpolate(node: Node, shadows: Lookup) -> Shadows:
    """Output j looks at the input around (j + 1/2) * n / m - 1/2, or j * (n - 1) / (m - 1) aligned."""
    value, out = node.args[0], node.outputs[0].shape
    nearest, exact, cubic = "nearest" in node.op, "exact" in node.op, "cubic" in node.op
    aligned = not nearest and bool(node.argument(2, "align_corners", False))
    result = []
    for shadow in shadows(value):
        shape = value.shape
        for dim in range(2, len(shape)):
            n, m = shape[dim], out[dim]
            scale = Fraction(n - 1, m - 1) if aligned and m > 1 else Fraction(n, m)
            rows = []
            for j in range(scale.denominator):
                if nearest:
                    centre = (j + Fraction(1, 2)) * scale if exact else j * scale
                    rows.append([centre.__floor__()])
                else:
                    centre = j * scale if aligned else (j + Fraction(1, 2)) * scale - Fraction(1, 2)
                    low = centre.__floor__()
                    reach = [low - 1, low, low + 1, low + 2] if cubic else [low, low + 1]
                    # A sample that falls on a unit takes nothing of its neighbours.
                    rows.append([low] * len(reach) if centre == low else reach)
            shadow = resample(shadow, shape, dim, m, np.array(rows), scale.numerator)
            shape = (*shape[:dim], m, *shape[dim + 1 :])
        result.append(shadow)
    return tuple(result)


@field_rule("mean", "sum", "amax", "amin", "aminmax", "var", "std", "var_mean", "std_mean", "max", "min",
            "median", "prod", "any", "all", "argmax", "argmin", "logsumexp", "norm", "linalg_vector_norm",
            "nansum", "nanmean")  # fmt: skip
def _reduction(node: Node, shadows: Lookup) -> Shadows:
    values = list(node.live_inputs())
    value, out = values[0], node.outputs[0].shape
    if len(values) > 1:  # max(a, b) of two tensors
        return _elementwise(node, shadows)
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


@field_rule("alias_write")
def _alias_write(node: Node, shadows: Lookup) -> Shadows:
    """A tensor of which a view was written to: where both look alike, so does the whole."""
    whole, written = node.args
    result = []
    before = shadows(whole) if whole.live else (EMPTY,) * len(shadows(written))
    for old, new in zip(before, shadows(written), strict=True):
        if old.equals(new) and whole.shape == written.shape:
            result.append(old)
        elif old.plain and new.plain and old.dim is None and new.dim is None:
            result.append(union([(old, whole.shape), (new, whole.shape)], whole.shape, node.index))
        else:
            raise NoRule
    return tuple(result)
