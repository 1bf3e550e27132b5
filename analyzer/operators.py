"""Names of operators, and those that a trace treats in a way of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

NOTHING_IN_EVAL = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"})
"""They return their input, unless their third argument says that they train."""

PRODUCTS = frozenset({
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution",
    "_convolution", "linear", "matmul", "bmm", "mm", "addmm", "baddbmm", "scaled_dot_product_attention",
})  # fmt: skip
"""Counted even where nothing depends on the input: relative positions, hidden states of zeros."""

HOLD_PRODUCTS = frozenset({"einsum", "tensordot", "bilinear", "inner", "linalg_multi_dot"})

LIKE: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "to": lambda tensor, like: _cast(tensor, like),
    "type_as": lambda tensor, like: _cast(tensor, like),
    "expand_as": lambda tensor, like: tensor.expand(like.shape),
    "view_as": lambda tensor, like: tensor.view(like.shape),
    "reshape_as": lambda tensor, like: tensor.reshape(like.shape),
}
"""Of their second argument they take the shape or the dtype only, so that a constant stays one."""


def _cast(tensor: Tensor, like: Tensor) -> Tensor:
    return tensor.to(like.dtype) if like.is_meta else tensor.to(like.device, like.dtype)


HIDDEN_WRITES = frozenset({"aten::batch_norm", "aten::instance_norm"})
"""They update running statistics, which their schemas don't tell."""


class Op:
    """What a trace needs to know of one of torch's operators, read from its schema once."""

    __slots__ = ("inplace", "mutable", "name", "view")

    def __init__(self, func: Any) -> None:
        name = str(func._schema.name).removeprefix("aten::")
        self.mutable = bool(func._schema.is_mutable)
        """It writes to its first argument."""
        self.inplace = self.mutable and name.endswith("_")
        """It is the kind that is called `relu_`."""
        self.name = name[:-1] if self.inplace else name
        """Without overload, and without the underscore: `relu`."""
        self.view = bool(func.is_view)


_OPS: dict[Any, Op] = {}


def describe_op(func: Any) -> Op:
    """Return what there is to know of an operator."""
    known = _OPS.get(func)
    if known is None:
        known = _OPS[func] = Op(func)
    return known
