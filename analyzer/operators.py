"""Names of operators, and those that a trace treats in a way of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cifar_report.analyzer.graph import Value

NOTHING_IN_EVAL = frozenset({"dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"})
"""They return their input, unless their third argument says that they train."""

PRODUCTS = frozenset({
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d", "convolution",
    "_convolution", "linear", "matmul", "bmm", "mm", "addmm", "baddbmm", "scaled_dot_product_attention",
})  # fmt: skip
"""Counted even where nothing depends on the input: relative positions, hidden states of zeros."""

HOLD_PRODUCTS = frozenset({"einsum", "tensordot", "bilinear", "inner", "linalg_multi_dot"})

HIDDEN_WRITES = frozenset({"aten::batch_norm", "aten::instance_norm"})
"""They update running statistics, which their schemas don't tell."""

_NAMES: dict[Any, tuple[str, bool]] = {}


def operator_name(func: Any) -> tuple[str, bool]:
    """Return an operator's name, such as `relu` for `aten::relu_`, and whether it writes in place."""
    known = _NAMES.get(func)
    if known is None:
        name = str(func._schema.name).removeprefix("aten::")
        inplace = bool(func._schema.is_mutable) and name.endswith("_")
        known = _NAMES[func] = (name[:-1] if inplace else name, inplace)
    return known


def any_live(symbols: Iterable[Any]) -> bool:
    """Return whether any of an operator's arguments depends on the network's input."""
    return next(live(symbols), None) is not None


def live(symbols: Iterable[Any]) -> Iterator[Value]:
    """Yield the arguments that depend on the network's input."""
    for symbol in symbols:
        if isinstance(symbol, Value):
            if symbol.constant is None:
                yield symbol
        elif isinstance(symbol, list):
            yield from live([item for item in symbol if isinstance(item, Value)])
