"""What convolutions show: depthwise separable, dilated, strided, transposed, and what only looks like it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import prod

from cifar_report.analyzer import windows
from cifar_report.analyzer.analysis import Finding
from cifar_report.analyzer.dataflow import Dataflow, map_size
from cifar_report.analyzer.graph import Node

PASSING = frozenset({
    "batch_norm", "group_norm", "layer_norm", "instance_norm", "rms_norm", "relu", "relu6", "hardswish",
    "hardtanh", "hardsigmoid", "silu", "gelu", "sigmoid", "tanh", "elu", "celu", "selu", "leaky_relu", "mish",
    "prelu", "rrelu", "softplus", "softshrink", "hardshrink", "threshold", "dropout", "feature_dropout",
    "alpha_dropout", "feature_alpha_dropout", "alias", "clone", "contiguous", "detach", "clamp", "clamp_min",
    "clamp_max", "to", "_to_copy", "permute", "transpose", "view", "reshape", "channel_shuffle",
})  # fmt: skip
"""What may stand between a depthwise layer and its pointwise one: normalisation, activation, dropout."""

_ARITHMETIC = frozenset({"add", "sub", "mul", "div", "pow", "rsqrt", "sqrt", "exp", "mean", "var", "var_mean",
                         "square", "rsub", "neg"})  # fmt: skip
"""What norms and activations are made of when they are written by hand."""


def of_convolution(flow: Dataflow, node: Node) -> Iterator[Finding]:
    """Yield what one convolution shows."""
    settings = windows.convolution(node)
    name = flow.name(node)
    wide = [axis for axis, kernel in enumerate(settings.kernel) if kernel > 1]
    kernel = spelled(settings.kernel)
    if settings.groups > 1 and settings.groups == settings.in_channels:
        yield _depthwise(flow, node, name, kernel, bool(wide))
    elif settings.groups > 1 and wide:
        detail = (
            f"a {kernel} convolution in {settings.groups} groups of "
            f"{(settings.in_channels or 0) // settings.groups} channels is grouped, not depthwise"
        )
        yield Finding("depthwise_separable", False, (name,), detail)
    elif len(wide) == 1 and len(settings.kernel) == 2:
        yield from _spatially_separable(flow, node, name, kernel)
    if max(settings.dilation) > 1:
        detail = f"{kernel} kernel, dilation {spelled(settings.dilation)}"
        if any(settings.dilation[axis] > 1 for axis in wide):
            yield Finding("dilated", True, (name,), detail)
        else:
            yield Finding("dilated", False, (name,), f"{detail}: no axis has both, so nothing is dilated")
    if settings.transposed:
        yield Finding("transposed_conv", True, (name,), f"{kernel} kernel, stride {max(settings.stride)}")
    elif max(settings.stride) > 1:
        yield Finding("strided_conv", True, (name,), f"{kernel} kernel, stride {max(settings.stride)}")


@lru_cache(maxsize=256)
def spelled(sizes: tuple[int, ...]) -> str:
    """Return sizes as people write them, `3x3`."""
    return "x".join(map(str, sizes))


def _depthwise(flow: Dataflow, node: Node, name: str, kernel: str, wide: bool) -> Finding:
    if not wide:
        detail = f"groups equal channels, but the kernel is {kernel}: it only scales each channel"
        return Finding("depthwise_separable", False, (name,), detail)
    reached = flow.reached_through(node, lambda child, carried: _passes(flow, child, carried))
    channels, units = node.outputs[0].shape[1], prod(map_size(node.outputs[0]))
    for child in reached:
        how = _pointwise(child, channels, units)
        if how:
            detail = f"depthwise {kernel}, then {how}"
            return Finding("depthwise_separable", True, (name, flow.name(child)), detail)
    found = ", ".join(sorted({_described(child) for child in reached})) or "nothing"
    before = " (the 1x1 before it doesn't count)" if _stands_behind_pointwise(flow, node) else ""
    detail = f"a depthwise {kernel} convolution without its pointwise 1x1: {found} comes next{before}"
    return Finding("depthwise_separable", False, (name,), detail)


def _pointwise(node: Node, channels: int, units: int) -> str:
    """Return how a node mixes the channels of single units; empty when it doesn't.

    A linear layer does, on maps with their channels last; on a flattened map it mixes the units too.
    """
    if node.op in windows.CONVOLUTIONS:
        settings = windows.convolution(node)
        mixes = max(settings.kernel) == 1 and settings.groups == 1 and not settings.transposed
        return f"pointwise {spelled(settings.kernel)}" if mixes else ""
    if node.op == "linear":
        shape = node.args[0].shape
        mixes = shape[-1] == channels and prod(shape[:-1]) % units == 0
        return "a linear layer on the channels (a pointwise convolution)" if mixes else ""
    return ""


def _passes(flow: Dataflow, node: Node, carried: set[int]) -> bool:
    """Return whether a node belongs to a normalisation, an activation, dropout, or a gate."""
    if node.op in PASSING:
        return True
    if node.op not in _ARITHMETIC:
        return False
    call = flow.trace.calls[node.call]
    shapes = [values[0].shape for values in (call.inputs, call.outputs) if values]
    if not call.module._modules and len(shapes) == 2 and shapes[0] == shapes[1]:
        return True  # a layer of somebody's own that changes no shape, such as a norm
    others = [value for value in node.live_inputs if value.id not in carried]
    if node.op == "mul":
        # Squeeze and excitation scales each channel, as a norm does.
        return all(max(map_size(value), default=1) == 1 for value in others)
    return not others and node.op not in ("mean", "var", "var_mean")


def _stands_behind_pointwise(flow: Dataflow, node: Node) -> bool:
    """Return whether a 1x1 convolution feeds a node, through what may stand between."""
    value = node.args[0]
    while value.live and value.producer >= 0:
        producer = flow.trace.nodes[value.producer]
        if producer.op in windows.CONVOLUTIONS:
            settings = windows.convolution(producer)
            return max(settings.kernel) == 1 and settings.groups == 1
        if producer.op not in PASSING:
            return False
        value = producer.args[0]
    return False


def _described(node: Node) -> str:
    if node.op in windows.CONVOLUTIONS:
        settings = windows.convolution(node)
        groups = f" with {settings.groups} groups" if settings.groups > 1 else ""
        return f"a {spelled(settings.kernel)} convolution{groups}"
    return node.op.removesuffix("_with_indices")


def _spatially_separable(flow: Dataflow, node: Node, name: str, kernel: str) -> Iterator[Finding]:
    """Yield the pair of a 3x1 and a 1x3 convolution, which many take for depthwise separable."""
    wanted = windows.convolution(node).kernel[::-1]
    for child in flow.reached_through(node, lambda child, carried: _passes(flow, child, carried)):
        if child.op in windows.CONVOLUTIONS:
            other = windows.convolution(child)
            if other.kernel == wanted and other.groups == 1:
                detail = (
                    f"a {kernel} and a {spelled(wanted)} convolution are spatially separable; groups is 1, "
                    "so neither works channel by channel"
                )
                yield Finding("depthwise_separable", False, (name, flow.name(child)), detail)
                return
