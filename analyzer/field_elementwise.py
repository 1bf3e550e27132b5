"""How shadows follow operators that work unit by unit, and writes into parts of a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cifar_report.analyzer.constants import table
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.receptive_field import Lookup, NoRule, Shadows, field_rule
from cifar_report.analyzer.shadow import EMPTY, Shadow, emptied
from cifar_report.analyzer.shadow_union import union

ELEMENTWISE = (
    "abs", "acos", "add", "addcdiv", "addcmul", "alias", "asin", "atan", "atan2", "bitwise_and",
    "bitwise_not", "bitwise_or", "bitwise_xor", "ceil", "celu", "clamp", "clamp_max", "clamp_min", "clip",
    "clone", "contiguous", "copysign", "cos", "cosh", "detach", "div", "divide", "dropout", "elu",
    "eq", "erf", "erfc", "exp", "exp2", "expm1", "feature_dropout", "float_power", "floor",
    "floor_divide", "fmod", "ge", "gelu", "gt", "hardshrink", "hardsigmoid", "hardswish", "hardtanh",
    "isfinite", "isinf", "isnan", "le", "leaky_relu", "lerp", "lift_fresh", "log", "log10", "log1p", "log2",
    "log_sigmoid", "logical_and", "logical_not", "logical_or", "logical_xor", "logit", "lt",
    "maximum", "minimum", "mish", "mul", "multiply", "nan_to_num", "ne", "neg", "negative", "pow",
    "prelu", "reciprocal", "relu", "relu6", "remainder", "round", "rrelu", "rsqrt", "rsub", "selu", "sgn",
    "sigmoid", "sign", "silu", "sin", "sinc", "sinh", "softplus", "softshrink", "sqrt", "square", "sub",
    "subtract", "tan", "tanh", "threshold", "true_divide", "trunc", "xlogy", "to", "_to_copy",
    "type_as", "float", "half", "alpha_dropout", "feature_alpha_dropout", "native_dropout", "complex",
    "polar", "angle", "resolve_conj", "resolve_neg", "_conj", "conj_physical", "_conj_physical", "_neg_view",
    "deg2rad", "rad2deg", "digamma", "lgamma", "polygamma", "erfinv", "hypot", "logaddexp", "logaddexp2",
    "fmax", "fmin", "frac", "heaviside", "signbit", "isposinf", "isneginf", "bitwise_left_shift",
    "bitwise_right_shift", "i0", "special_i0e", "special_i1", "special_i1e", "special_entr",
    "special_erfcx", "special_ndtri", "special_log_ndtr", "fake_quantize_per_tensor_affine",
    "fake_quantize_per_channel_affine", "quantize_per_tensor", "quantize_per_channel", "dequantize",
    "int_repr", "acosh", "asinh", "atanh", "nextafter", "mvlgamma",
)  # fmt: skip


@field_rule(*ELEMENTWISE)
def elementwise(node: Node, shadows: Lookup) -> Shadows:
    """Unite the operands, which broadcast against each other."""
    out = node.outputs[0].shape
    values = list(node.live_inputs)
    if len(values) == 1 and values[0].shape == out:
        return shadows(values[0])
    axes = zip(*[shadows(v) for v in values], strict=True)
    return tuple([
        union(list(zip(axis, [v.shape for v in values], strict=True)), out, node.index) for axis in axes
    ])  # fmt: skip


@field_rule("masked_fill")
def _masked_fill(node: Node, shadows: Lookup) -> Shadows:
    """A unit that is filled with a number sees nothing."""
    mask = node.args[1]
    holes = table(mask) if len(node.live_inputs) == 1 and not mask.live else None
    if holes is None:
        return elementwise(node, shadows)
    rank = len(node.outputs[0].shape)
    return tuple([_except(s, holes, rank) for s in elementwise(node, shadows)])


@field_rule("where")
def _where(node: Node, shadows: Lookup) -> Shadows:
    """With a constant condition it is known which unit comes from which operand."""
    condition, *operands = node.args[:3]
    chosen = None if condition.live else table(condition)
    if chosen is None or len(operands) < 2:
        return elementwise(node, shadows)
    out = node.outputs[0].shape
    sides = [
        (v, holes)
        for v, holes in zip(operands, (~chosen, chosen), strict=True)
        if isinstance(v, Value) and v.live
    ]
    result = []
    for axis in range(len(shadows(sides[0][0]))):
        parts = []
        for value, holes in sides:
            spread = union([(shadows(value)[axis], value.shape)], out, node.index)
            parts.append((_except(spread, holes, len(out)), out))
        result.append(union(parts, out, node.index))
    return tuple(result)


@field_rule("tril", "triu")
def _triangle(node: Node, shadows: Lookup) -> Shadows:
    value, diagonal = node.args[0], node.argument(1, "diagonal", 0)
    kept = (np.tril if node.op == "tril" else np.triu)(np.ones(value.shape[-2:], dtype=bool), diagonal)
    return tuple([_except(s, ~kept, len(value.shape)) for s in shadows(value)])


def _except(shadow: Shadow, holes: NDArray[Any], rank: int) -> Shadow:
    """Return a shadow in which marked units see nothing; the mark broadcasts from the right."""
    return emptied(shadow, holes.reshape((1,) * (rank - holes.ndim) + holes.shape)) if holes.any() else shadow


@field_rule("fill", "zero", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like",
            "randint_like", "new_zeros", "new_ones", "new_full", "new_empty", "uniform", "exponential",
            "random", "bernoulli")  # fmt: skip
def _blank(node: Node, shadows: Lookup) -> Shadows:
    if node.op == "bernoulli" and len(node.args) == 1:
        return shadows(node.args[0])  # its operand is the probability; in place, that is a second argument
    return (EMPTY,) * len(shadows(node.live_inputs[0]))


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
