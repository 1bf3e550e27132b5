"""The built-in networks, found by name."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from cifar_report.analyzer.errors import UsageError

if TYPE_CHECKING:
    from torch import nn

_LINES = {
    "document_000": "max pools, depthwise layer without pointwise",
    "document_001": "max pools, ghost norms, 3x1 and 1x3 kernels",
    "document_003": "strided layers, two depthwise separable ones",
    "document_004": "stride 1 throughout, two dilated layers",
    "flagship": "gated residual blocks, three strides, seven depthwise separable layers, one dilated",
    "residual": "two strides, six depthwise separable layers, two dilated",
}


def names() -> tuple[str, ...]:
    """Return the names that `build` knows, sorted."""
    return tuple(sorted(_LINES))


def describe() -> dict[str, str]:
    """Return one line about each network, by name."""
    return {name: _LINES[name] for name in names()}


def build(name: str) -> nn.Module:
    """Return a freshly initialised network for images `(N, 3, 32, 32)` and ten classes.

    Raises:
        UsageError: no network of that name.
    """
    if name not in _LINES:
        near = get_close_matches(name, names(), n=3, cutoff=0.5)
        raise UsageError(
            f"no built-in network is called {name!r}",
            expected=f"one of {', '.join(names())}",
            found=name,
            hint=f"did you mean {' or '.join(near)}?" if near else "`cifar-report models` lists them",
        )
    network: nn.Module = import_module(f"cifar_report.models.{name}").Net()
    return network
