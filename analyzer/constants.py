"""The numbers of tensors that don't depend on the network's input: index tables, masks, grids."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from cifar_report.analyzer.graph import Value

Table = NDArray[Any]


def table(value: Value) -> Table | None:
    """Return the numbers of a constant; None where it has none, as on the meta device."""
    constant = value.constant
    if constant is None or type(constant) not in (Tensor, nn.Parameter) or constant.is_meta:
        return None
    numbers = constant.detach().cpu()
    table: Table = numbers.double().numpy() if numbers.dtype.is_floating_point else numbers.numpy()
    return table
