"""Output shapes of the commonest operators, computed without calling a kernel.

The kernels of the meta device take up to half a millisecond each (batch norm, layer norm); these
rules take microseconds. Views have none: their kernels are as fast, and know about strides.

A rule gets an operator's arguments with `Value`s in place of tensors and returns the output's shape,
or None for a case it doesn't cover. It never guesses: on None the kernel runs, and raises torch's own
error for shapes that don't fit. The output's dtype is that of the first input that depends on the
network's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from torch import Tensor

from cifar_report.analyzer.graph import Value

Shape = tuple[int, ...]
Arguments = tuple[Any, ...]
Keywords = dict[str, Any]
Rule = Callable[[Arguments, Keywords], Shape | None]

RULES: dict[str, Rule] = {}


def shape_of(tensor: Tensor) -> Shape:
    """Return a tensor's shape as plain integers."""
    return tuple(tensor.shape)


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a shape rule under ATen names; a name can have one rule only."""

    def register(function: Rule) -> Rule:
        for name in names:
            if name in RULES:
                raise ValueError(f"operator {name} has a shape rule already")
            RULES[name] = function
        return function

    return register


def argument(args: Arguments, kwargs: Keywords, position: int, name: str, default: Any = None) -> Any:
    """Return an argument that ATen allows by position or by name."""
    return args[position] if position < len(args) else kwargs.get(name, default)


def spread(value: Any, axes: int) -> tuple[int, ...]:
    """Return a setting per axis: ATen allows one number, or a list of one, for all axes."""
    if isinstance(value, int):
        return (value,) * axes
    return tuple(value) if len(value) == axes else tuple(value) * axes


def broadcast(left: Shape, right: Shape) -> Shape | None:
    """Return the shape that two shapes broadcast to; None where they don't."""
    if left == right:
        return left
    if len(left) < len(right):
        left, right = right, left
    result = list(left)
    offset = len(left) - len(right)
    for axis, size in enumerate(right):
        own = left[offset + axis]
        if own == size or size == 1:
            continue
        if own != 1:
            return None
        result[offset + axis] = size
    return tuple(result)


@rule(
    "relu", "relu6", "hardswish", "hardsigmoid", "hardtanh", "silu", "gelu", "sigmoid", "tanh", "elu",
    "leaky_relu", "mish", "softplus", "log_softmax", "softmax", "clone", "detach", "alias", "exp", "neg",
    "sqrt", "rsqrt", "abs",
)  # fmt: skip
def same(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover unary operators: the shape stays."""
    if kwargs.get("dtype") is not None or not args[0].dtype.is_floating_point:
        return None
    return args[0].shape  # type: ignore[no-any-return]


@rule("clamp_min", "clamp_max", "clamp", "clip")
def clamp(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover bounds that are numbers."""
    value, bounds = args[0], (*args[1:], *kwargs.values())
    numbers = all(bound is None or isinstance(bound, int | float) for bound in bounds)
    return value.shape if numbers and value.dtype.is_floating_point else None


@rule("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout")
def dropout(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover dropout in either mode."""
    return args[0].shape  # type: ignore[no-any-return]


@rule("contiguous")
def contiguous(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover the common order of elements; channels last has strides of its own."""
    return None if len(args) > 1 or kwargs else args[0].shape


@rule("add", "sub", "mul", "div")
def arithmetic(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover the four operations between floats of one dtype, or of a float and a number."""
    left, right = args[0], args[1]
    if kwargs.get("rounding_mode") or not isinstance(left, Value) or not left.dtype.is_floating_point:
        return None
    if not isinstance(right, Value):
        return left.shape if isinstance(right, int | float) else None
    if left.dtype != right.dtype:
        return None
    return broadcast(left.shape, right.shape)


@rule("batch_norm")
def batch_norm(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover batch normalisation; in training mode a batch of one has no variance, but a shape."""
    shape: Shape = args[0].shape
    for parameter in args[1:5]:
        if parameter is not None and parameter.shape != shape[1:2]:
            return None
    return shape


@rule("layer_norm")
def layer_norm(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover layer normalisation over the last dimensions."""
    value, shape = args[0], tuple(args[1])
    return value.shape if value.shape[len(value.shape) - len(shape) :] == shape else None


@rule("group_norm")
def group_norm(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover group normalisation."""
    value, groups = args[0], args[1]
    return value.shape if len(value.shape) > 1 and value.shape[1] % groups == 0 else None


@rule("conv1d", "conv2d", "conv3d")
def convolution(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover convolutions of 1, 2 and 3 dimensions, with named paddings."""
    value, weight = args[0], args[1]
    shape, kernel = value.shape, weight.shape
    axes = len(kernel) - 2
    groups = args[6] if len(args) > 6 else kwargs.get("groups", 1)
    if len(shape) != axes + 2 or shape[1] != kernel[1] * groups or weight.dtype != value.dtype:
        return None
    padding = argument(args, kwargs, 4, "padding", 0)
    if isinstance(padding, str):
        if padding == "same":
            return (shape[0], kernel[0], *shape[2:])
        padding = 0
    stride = spread(argument(args, kwargs, 3, "stride", 1), axes)
    dilation = spread(argument(args, kwargs, 5, "dilation", 1), axes)
    sizes = _slid(shape[2:], kernel[2:], stride, spread(padding, axes), dilation)
    return (shape[0], kernel[0], *sizes) if min(sizes) > 0 else None


@lru_cache(maxsize=256)
def _slid(sizes: Shape, kernel: Shape, stride: Shape, padding: Shape, dilation: Shape) -> Shape:
    """Return the sizes that a window leaves; networks repeat the few that they have."""
    return tuple([
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, k, s, p, d in zip(sizes, kernel, stride, padding, dilation, strict=True)
    ])  # fmt: skip


@rule("max_pool2d", "avg_pool2d")
def pool(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover plain 2d pools without dilation."""
    value = args[0]
    if len(value.shape) != 4:
        return None
    kernel = spread(args[1], 2)
    stride = spread(argument(args, kwargs, 2, "stride") or kernel, 2)
    padding = spread(argument(args, kwargs, 3, "padding", 0), 2)
    if len(args) > 4 or kwargs or any(2 * p > k for p, k in zip(padding, kernel, strict=True)):
        return None  # dilation, ceil mode: the kernel's own arithmetic
    height, width = (
        (n + 2 * p - k) // s + 1 for n, k, s, p in zip(value.shape[2:], kernel, stride, padding, strict=True)
    )
    return (*value.shape[:2], height, width) if min(height, width) > 0 else None


@rule("adaptive_avg_pool2d")
def adaptive_pool(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover adaptive pools to a given size."""
    value = args[0]
    if len(value.shape) != 4:
        return None
    return (*value.shape[:2], *spread(args[1], 2))


@rule("linear")
def linear(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover y = x W^T + b over the last dimension."""
    value, weight = args[0], args[1]
    if len(weight.shape) != 2 or not value.shape or value.shape[-1] != weight.shape[1]:
        return None
    return (*value.shape[:-1], weight.shape[0]) if value.dtype == weight.dtype else None


@rule("matmul", "bmm")
def matmul(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover products of two tensors with at least two dimensions each."""
    left, right = args[0], args[1]
    if not isinstance(left, Value) or not isinstance(right, Value) or left.dtype != right.dtype:
        return None
    if min(len(left.shape), len(right.shape)) < 2 or left.shape[-1] != right.shape[-2]:
        return None
    batch = broadcast(left.shape[:-2], right.shape[:-2])
    return None if batch is None else (*batch, left.shape[-2], right.shape[-1])


@rule("scaled_dot_product_attention")
def attention(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover attention without shared heads: (.., L, E), (.., S, E), (.., S, Ev) to (.., L, Ev)."""
    query, key, value = args[:3]
    if query.shape[:-2] != key.shape[:-2] or key.shape[:-1] != value.shape[:-1]:
        return None
    return (*query.shape[:-1], value.shape[-1]) if query.shape[-1] == key.shape[-1] else None


@rule("mean")
def mean(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover means over named dimensions."""
    return _reduced(args, kwargs, 1)


@rule("linalg_vector_norm")
def vector_norm(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover norms of vectors along named dimensions."""
    return _reduced(args, kwargs, 2)


def _reduced(args: Arguments, kwargs: Keywords, position: int) -> Shape | None:
    """Return what a reduction leaves, given where its argument `dim` stands; `keepdim` is the next one."""
    value, dims = args[0], argument(args, kwargs, position, "dim")
    if not isinstance(dims, list | tuple) or not dims or kwargs.get("dtype") is not None:
        return None
    shape = value.shape
    if not value.dtype.is_floating_point or not all(-len(shape) <= dim < len(shape) for dim in dims):
        return None
    reduced = {dim % len(shape) for dim in dims}
    if len(reduced) != len(dims):
        return None
    if argument(args, kwargs, position + 1, "keepdim", False):
        return tuple([1 if dim in reduced else size for dim, size in enumerate(shape)])
    return tuple([size for dim, size in enumerate(shape) if dim not in reduced])
