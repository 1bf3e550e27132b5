"""Quantized operators as the ones that they round, so that every rule for these holds for them too.

Weights lie packed in an object of torch's; unpacked, they are a constant like any other. Scales and zero
points change no unit's place and no count. Such weights are no `nn.Parameter`s: a network's parameters
don't contain them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from cifar_report.analyzer.graph import Node, Value

PREFIX = "quantized::"

_CONVOLUTIONS = frozenset(
    f"{kind}{axes}d{suffix}"
    for kind, suffixes in (("conv", ("", "_relu", "_dynamic")), ("conv_transpose", ("", "_dynamic")))
    for axes in (1, 2, 3)
    for suffix in suffixes
)
_LINEAR = frozenset({
    "linear", "linear_relu", "linear_dynamic", "linear_relu_dynamic", "linear_dynamic_fp16",
    "linear_relu_dynamic_fp16", "linear_leaky_relu", "linear_tanh",
})  # fmt: skip
_OPERANDS = {
    "add": 2, "mul": 2, "add_scalar": 2, "mul_scalar": 2, "matmul": 2, "cat": 2, "hardswish": 1, "sigmoid": 1,
    "elu": 1, "celu": 1, "leaky_relu": 1, "relu6": 1, "clamp": 3, "threshold": 3, "prelu": 2, "dropout": 2,
    "softmax": 2,
}  # fmt: skip
"""How many arguments each has before its scale and zero point, by the name without `_relu`."""


def plain(node: Node, constant: Callable[[Tensor], Value]) -> Node:
    """Return a node that says the same without quantization; an operator that nobody knows, as it is.

    Args:
        node: of an operator whose name begins with `PREFIX`.
        constant: makes the value of a tensor that doesn't depend on the network's input.
    """
    name = node.op.removeprefix(PREFIX)
    if name in _CONVOLUTIONS:
        return _renamed(node, *_convolution(name, node.args[0], node.args[1], constant))
    if name in _LINEAR:
        unpack = "linear_unpack_fp16" if name.endswith("fp16") else "linear_unpack"
        weight, bias = getattr(torch.ops.quantized, unpack)(node.args[1])
        return _renamed(node, "linear", (node.args[0], *_constants((weight, bias), constant)))
    name = name.removesuffix("_relu")
    if name in _OPERANDS:
        return _renamed(node, name.removesuffix("_scalar"), tuple(node.args[: _OPERANDS[name]]))
    return node


def _convolution(
    name: str, value: Value, packed: Any, constant: Callable[[Tensor], Value]
) -> tuple[str, tuple[Any, ...]]:
    op = name.removesuffix("_relu").removesuffix("_dynamic")
    axes = int(op[-2])
    weight, bias = getattr(torch.ops.quantized, f"{op}_unpack")(packed)
    # One axis is kept as the second of two.
    stride, padding, dilation = (
        list(setting)[-axes:] for setting in (packed.stride(), packed.padding(), packed.dilation())
    )
    tensors = _constants((weight, bias), constant)
    if op.startswith("conv_transpose"):
        extra = list(packed.output_padding())[-axes:]
        return op, (value, *tensors, stride, padding, extra, packed.groups(), dilation)
    return op, (value, *tensors, stride, padding, dilation, packed.groups())


def _constants(
    tensors: tuple[Tensor, Tensor | None], constant: Callable[[Tensor], Value]
) -> list[Value | None]:
    return [None if tensor is None else constant(tensor) for tensor in tensors]


def _renamed(node: Node, op: str, args: tuple[Any, ...]) -> Node:
    return Node(node.index, op, args, {}, node.outputs, node.call)
