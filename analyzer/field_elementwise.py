"""How shadows follow operators that work unit by unit, and writes into parts of a tensor."""

from __future__ import annotations

from cifar_report.analyzer.graph import Node
from cifar_report.analyzer.receptive_field import Lookup, NoRule, Shadows, field_rule
from cifar_report.analyzer.shadow import EMPTY
from cifar_report.analyzer.shadow_union import union

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


@field_rule("fill", "zero", "zeros_like", "ones_like", "full_like", "empty_like", "rand_like", "randn_like",
            "new_zeros", "new_ones", "new_full", "new_empty", "bernoulli")  # fmt: skip
def _blank(node: Node, shadows: Lookup) -> Shadows:
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
