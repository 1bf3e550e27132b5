"""Build a network without its weights: an analysis asks for shapes, and a ViT-H holds 2.5 GB of values."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode


class _Unfilled(TorchFunctionMode):
    """While it is entered, `torch.empty` gives meta tensors: a shape without memory.

    Layers take their weights from `torch.empty` and fill them. Everything else keeps its values, which
    constructors read (RegNet its widths, timm its drop rates) and receptive fields need (index tables);
    under `torch.device("meta")` they would have none.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run any torch function."""
        kwargs = kwargs or {}
        if func is torch.empty and kwargs.get("device") is None and kwargs.get("out") is None:
            kwargs = {**kwargs, "device": "meta"}
        return func(*args, **kwargs)


def hollow(build: Callable[[], nn.Module]) -> nn.Module:
    """Return the network that a function builds, with as few values as its constructor can do without.

    A constructor that fails for want of values is run again with all of them.
    """
    try:
        with _Unfilled():
            return quiet(build)
    except Exception:  # whatever it is, it may be for want of values; if not, it comes again
        return quiet(build)


def quiet(build: Callable[[], nn.Module]) -> nn.Module:
    """Return the network that a function builds, without what its library warns its own users of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build()


def is_hollow(module: nn.Module) -> bool:
    """Tell whether some of a network's weights have no values."""
    return any(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))
