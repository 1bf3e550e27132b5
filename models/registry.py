"""The built-in networks, found by name."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from cifar_report.analyzer.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from torch import nn


class _Entry(NamedTuple):
    line: str
    """What the network is."""
    module: str = ""
    """Where its class `Net` is defined; empty where the name says it."""
    arguments: Mapping[str, str] = MappingProxyType({})
    """Of `Net`."""
    input_shape: tuple[int, ...] = (3, 32, 32)
    """Of the images that it was made for, without the batch."""


_GRAY = (1, 28, 28)

_NETWORKS = {
    "document_000": _Entry("max pools, depthwise layer without pointwise"),
    "document_001": _Entry("max pools, ghost norms, 3x1 and 1x3 kernels"),
    "document_003": _Entry("strided layers, two depthwise separable ones"),
    "document_004": _Entry("stride 1 throughout, two dilated layers"),
    "era_s8_batch_norm": _Entry("batch normalisation, two max pools", "era_s8_norms", {"norm": "batch"}),
    "era_s8_group_norm": _Entry("the same with group normalisation", "era_s8_norms", {"norm": "group"}),
    "era_s8_layer_norm": _Entry("the same with layer normalisation", "era_s8_norms", {"norm": "layer"}),
    "eva5_s7": _Entry("three max pools, three depthwise separable layers, one dilated"),
    "flagship": _Entry("gated residual blocks, three strides, seven depthwise separable layers, one dilated"),
    "mnist_20k": _Entry("batch norms and dropout, two max pools", input_shape=_GRAY),
    "mnist_8k": _Entry("five convolutions, two max pools", input_shape=_GRAY),
    "residual": _Entry("two strides, six depthwise separable layers, two dilated"),
    "transposed": _Entry("a field of exactly 54 px by a transposed convolution, two dw. separable layers"),
}


def names() -> tuple[str, ...]:
    """Return the names that `build` knows, sorted."""
    return tuple(sorted(_NETWORKS))


def describe() -> dict[str, str]:
    """Return one line about each network, by name."""
    return {name: _NETWORKS[name].line for name in names()}


def input_shape(name: str) -> tuple[int, ...]:
    """Return the shape of the images that the network of a known name takes, without the batch."""
    return _NETWORKS[name].input_shape


def weights(name: str) -> Path | None:
    """Return the file of trained weights that ships with the network of a known name; None without one."""
    path = Path(__file__).parent / "weights" / f"{name}.safetensors"
    return path if path.is_file() else None


def build(name: str) -> nn.Module:
    """Return a freshly initialised network for images `(N, *input_shape(name))` and ten classes.

    Raises:
        UsageError: no network of that name.
    """
    if name not in _NETWORKS:
        near = get_close_matches(name, names(), n=3, cutoff=0.5)
        raise UsageError(
            f"no built-in network is called {name!r}",
            expected=f"one of {', '.join(names())}",
            found=name,
            hint=did_you_mean(near, "`cifar-report models` lists them"),
        )
    entry = _NETWORKS[name]
    network: nn.Module = import_module(f"cifar_report.models.{entry.module or name}").Net(**entry.arguments)
    return network
