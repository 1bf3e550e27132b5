"""Torch's own layers that are one operator each, read from their settings instead of being run.

Running `nn.Conv2d` on tensors without values takes twenty microseconds of torch's Python and C++ to say
what its attributes say already. Only layers of exactly these classes are read, without hooks or a
`forward` of their own; everything else, and every setting that isn't covered, is run.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import nn

from cifar_report.analyzer.operators import Op, describe_op

Attributes = dict[str, Any]
"""A module's `__dict__`."""
Reader = Callable[[Attributes], tuple[Any, ...] | None]
"""Returns the operator's arguments behind its first; None for a setting that it doesn't cover."""

Recipe = tuple[str, Reader, tuple[int, ...]]
"""Name of the operator, how to read its arguments, and the ranks of input that the layer takes (none given:
the operator's rule decides)."""

LAYERS: dict[type[nn.Module], Recipe] = {}


def read_layer(module: nn.Module, recipe: Recipe, rank: int) -> tuple[Op, tuple[Any, ...]] | None:
    """Return a layer's operator with its arguments behind the first; None for a layer that must be run.

    Args:
        module: of a class in `LAYERS`.
        recipe: of that class.
        rank: number of dimensions of its input.
    """
    name, reader, ranks = recipe
    own = module.__dict__
    if ranks and rank not in ranks:
        return None
    if own["_forward_hooks"] or own["_forward_pre_hooks"] or "forward" in own or "_call_impl" in own:
        return None
    if own["_backward_hooks"] or own["_backward_pre_hooks"] or own.get("_compiled_call_impl") is not None:
        return None
    try:
        arguments = reader(own)
    except KeyError:
        return None  # a weight that was deleted, or is computed by its author
    return None if arguments is None else (_operator(name, bool(own.get("inplace"))), arguments)


@cache
def _operator(name: str, inplace: bool) -> Op:
    return describe_op(getattr(torch.ops.aten, name + "_" * inplace).default)


def _layer(
    operator: str, *classes: type[nn.Module], ranks: tuple[int, ...] = ()
) -> Callable[[Reader], Reader]:
    def register(reader: Reader) -> Reader:
        LAYERS.update(dict.fromkeys(classes, (operator, reader, ranks)))
        return reader

    return register


@_layer("conv1d", nn.Conv1d)
@_layer("conv2d", nn.Conv2d)
@_layer("conv3d", nn.Conv3d)
def _convolution(own: Attributes) -> tuple[Any, ...] | None:
    if own["padding_mode"] != "zeros":
        return None  # it pads by an operator of its own
    weights = own["_parameters"]
    return weights["weight"], weights["bias"], own["stride"], own["padding"], own["dilation"], own["groups"]


@_layer("batch_norm", nn.BatchNorm1d, ranks=(2, 3))
@_layer("batch_norm", nn.BatchNorm2d, ranks=(4,))
@_layer("batch_norm", nn.BatchNorm3d, ranks=(5,))
def _batch_norm(own: Attributes) -> tuple[Any, ...] | None:
    buffers, weights = own["_buffers"], own["_parameters"]
    mean, var = buffers["running_mean"], buffers["running_var"]
    if own["training"] or mean is None or var is None:
        return None
    momentum = 0.0 if own["momentum"] is None else own["momentum"]
    return weights["weight"], weights["bias"], mean, var, False, momentum, own["eps"], True


@_layer("layer_norm", nn.LayerNorm)
def _layer_norm(own: Attributes) -> tuple[Any, ...]:
    weights = own["_parameters"]
    return own["normalized_shape"], weights["weight"], weights["bias"], own["eps"]


@_layer("group_norm", nn.GroupNorm)
def _group_norm(own: Attributes) -> tuple[Any, ...]:
    weights = own["_parameters"]
    return own["num_groups"], weights["weight"], weights["bias"], own["eps"]


@_layer("linear", nn.Linear)
def _linear(own: Attributes) -> tuple[Any, ...]:
    weights = own["_parameters"]
    return weights["weight"], weights["bias"]


@_layer("relu", nn.ReLU)
@_layer("hardswish", nn.Hardswish)
@_layer("hardsigmoid", nn.Hardsigmoid)
@_layer("silu", nn.SiLU)
@_layer("mish", nn.Mish)
@_layer("sigmoid", nn.Sigmoid)
@_layer("tanh", nn.Tanh)
def _activation(own: Attributes) -> tuple[Any, ...]:
    return ()


@_layer("hardtanh", nn.ReLU6, nn.Hardtanh)
def _clipped(own: Attributes) -> tuple[Any, ...]:
    return own["min_val"], own["max_val"]


@_layer("leaky_relu", nn.LeakyReLU)
def _leaky(own: Attributes) -> tuple[Any, ...]:
    return (own["negative_slope"],)


@_layer("elu", nn.ELU)
def _elu(own: Attributes) -> tuple[Any, ...]:
    return (own["alpha"],)


@_layer("gelu", nn.GELU)
def _gelu(own: Attributes) -> tuple[Any, ...] | None:
    return () if own["approximate"] == "none" else None


@_layer("dropout", nn.Dropout)
@_layer("feature_dropout", nn.Dropout1d, ranks=(3,))
@_layer("feature_dropout", nn.Dropout2d, ranks=(4,))
@_layer("feature_dropout", nn.Dropout3d, ranks=(5,))
def _dropout(own: Attributes) -> tuple[Any, ...] | None:
    return None if own["training"] else (own["p"], False)


@_layer("max_pool2d", nn.MaxPool2d)
def _max_pool(own: Attributes) -> tuple[Any, ...] | None:
    if own["return_indices"] or own["ceil_mode"] or own["dilation"] not in (1, (1, 1)):
        return None
    return own["kernel_size"], own["stride"], own["padding"]


@_layer("avg_pool2d", nn.AvgPool2d)
def _avg_pool(own: Attributes) -> tuple[Any, ...] | None:
    if own["ceil_mode"] or not own["count_include_pad"] or own["divisor_override"] is not None:
        return None
    return own["kernel_size"], own["stride"], own["padding"]


@_layer("adaptive_avg_pool2d", nn.AdaptiveAvgPool2d)
def _adaptive_pool(own: Attributes) -> tuple[Any, ...] | None:
    size = own["output_size"]
    sizes = size if isinstance(size, tuple) else (size, size)
    return None if None in sizes else (sizes,)
