"""Edits of convolutions: kernel, dilation, stride, groups, width, depthwise separable, one more, one less.

Each keeps the size of the map unless it says `resizes`: a kernel that grows, or spreads, gets as much more
padding.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from cifar_report.analyzer.advice_channels import Group, group_of
from cifar_report.analyzer.advice_edits import Change, Edit, Recipe, Settings
from cifar_report.analyzer.advice_graph import Network
from cifar_report.analyzer.analysis import Operator


def kernels(network: Network, *, larger: bool) -> Iterator[Edit]:
    """Yield larger kernels (3x3 to 5x5 or 7x7), or smaller ones, at the same size of the map."""
    for _, path, layer in _wide(network):
        for size in (5, 7) if larger else (3, 1):
            old = max(layer.kernel_size)
            if (size > old) if larger else (size < old):
                settings = (("kernel_size", size), *_padding(layer, size, layer.dilation[0]))
                verb = "enlarge" if larger else "shrink"
                yield Edit("kernel", f"{verb} the kernel of {path} to {size}x{size}", _one(path, settings))


def dilations(network: Network, *, more: bool) -> Iterator[Edit]:
    """Yield kernels dilated by 2 or 3, or no longer dilated."""
    for _, path, layer in _wide(network):
        for dilation in (2, 3) if more else (1,):
            if (dilation > max(layer.dilation)) if more else (dilation < max(layer.dilation)):
                settings = (("dilation", dilation), *_padding(layer, layer.kernel_size[0], dilation))
                text = f"dilate {path} by {dilation}" if more else f"undo the dilation of {path}"
                yield Edit("dilation", text, _one(path, settings))


def strides(network: Network, *, more: bool) -> Iterator[Edit]:
    """Yield strides of 2, which halve the map behind, or strides of 1."""
    for operator, path, layer in network.convolutions():
        if max(network.input_map(operator)[2:], default=0) < 4 or layer.padding_mode != "zeros":
            continue
        if not network.may_resize(operator):
            continue
        if more and max(layer.stride) == 1:
            settings: Settings = (("stride", 2),)
            if not _keeps_size(layer):
                settings += (("padding", _same(layer.kernel_size[0], layer.dilation[0])),)
            yield Edit("stride", f"give {path} a stride of 2", _one(path, settings), resizes=True)
        elif not more and max(layer.stride) > 1:
            text = f"give {path} a stride of 1"
            yield Edit("stride", text, _one(path, (("stride", 1),)), resizes=True)


def paddings(network: Network, *, more: bool) -> Iterator[Edit]:
    """Yield padding that keeps the map's size, or none, where a dilated kernel then shrinks it."""
    for operator, path, layer in _wide(network):
        if isinstance(layer.padding, str) or max(layer.stride) > 1 or not network.may_resize(operator):
            continue
        value = _same(layer.kernel_size[0], layer.dilation[0]) if more else 0
        smaller = max(network.input_map(operator)[2:], default=0) > 2 * _same(
            layer.kernel_size[0], layer.dilation[0]
        )
        if (value > layer.padding[0]) if more else (value < layer.padding[0] and smaller):
            text = f"pad {path} by {value}"
            yield Edit("padding", text, _one(path, (("padding", value),)), resizes=True)


def separables(network: Network, *, dilation: int = 1) -> Iterator[Edit]:
    """Yield a depthwise convolution with a pointwise one behind, in place of each dense one.

    Args:
        network: the network.
        dilation: of the depthwise part; 1 leaves it as it is.
    """
    for _, path, layer in _dense(network):
        settings = _depthwise(layer)
        if dilation > 1:
            if max(layer.dilation) > 1:
                continue
            settings += (("dilation", dilation), *_padding(layer, layer.kernel_size[0], dilation))
        pointwise = _pointwise(layer.in_channels, layer.out_channels, layer.bias is not None)
        text = f"make {path} depthwise separable" + (f" dilated by {dilation}" if dilation > 1 else "")
        kind = "separable" if dilation == 1 else "separable, dilated"
        yield Edit(kind, text, (Change(path, settings, after=(pointwise,)),))


def narrower_separables(network: Network) -> Iterator[Edit]:
    """Yield depthwise separable convolutions with fewer channels, and with everything that has to follow."""
    for operator, path, layer in _dense(network):
        group = group_of(network, operator)
        if group is None or group.writers != (path,):
            continue
        for channels in _steps(group.channels, wider=False)[1::2]:
            others = [change for change in group.resized(channels) if change.path != path]
            pointwise = _pointwise(layer.in_channels, channels, layer.bias is not None)
            text = f"make {path} depthwise separable, with {channels} channels instead of {group.channels}"
            change = Change(path, _depthwise(layer), after=(pointwise,))
            yield Edit("separable, narrower", text, (change, *others))


def lone_depthwise(network: Network) -> Iterator[Edit]:
    """Yield the pointwise convolution that a depthwise one lacks."""
    lone = {
        finding.layers[0]
        for finding in network.analysis.findings
        if finding.structure == "depthwise_separable" and not finding.found and len(finding.layers) == 1
    }
    for _, path, layer in _wide(network):
        if path in lone and layer.groups == layer.in_channels:
            change = Change(path, after=(_pointwise(layer.out_channels, layer.out_channels, True),))
            yield Edit("pointwise", f"put a pointwise convolution behind {path}", (change,))


def groupings(network: Network) -> Iterator[Edit]:
    """Yield convolutions in 2, 4 or 8 groups."""
    for _, path, layer in network.convolutions():
        for groups in (2, 4, 8):
            fits = layer.in_channels % groups == 0 == layer.out_channels % groups
            if layer.groups == 1 and fits and min(layer.in_channels, layer.out_channels) >= 4 * groups:
                settings = (("groups", groups),)
                yield Edit("groups", f"split {path} into {groups} groups", _one(path, settings))


def widths(network: Network, *, wider: bool) -> Iterator[Edit]:
    """Yield other numbers of channels, with everything that has to follow."""
    for group in _groups(network):
        for channels in _steps(group.channels, wider):
            text = f"{channels} channels instead of {group.channels} behind {group.name}"
            yield Edit("width", text, group.resized(channels))


def additions(network: Network) -> Iterator[Edit]:
    """Yield one more 3x3 convolution behind each, on as many channels: dense, or depthwise."""
    for operator, path, layer in network.convolutions():
        channels = layer.out_channels
        if min(operator.output_shape[2:], default=0) < 3:
            continue
        for groups in (1, channels) if channels >= 4 else (1,):
            options: Settings = (("padding", 1),) if groups == 1 else (("padding", 1), ("groups", groups))
            recipe = Recipe("Conv2d", (channels, channels, 3), options)
            name = "a" if groups == 1 else "a depthwise"
            text = f"put {name} 3x3 convolution behind {path}"
            yield Edit("addition", text, (Change(path, after=(recipe,)),))


def removals(network: Network) -> Iterator[Edit]:
    """Yield one convolution less; what reads it gets the channels that it read."""
    for operator, path, layer in network.convolutions():
        if max(layer.stride) > 1 or network.input_map(operator)[2:] != operator.output_shape[2:]:
            continue
        gone = Change(path, after=(Recipe("Identity"),), keep=False)
        if layer.in_channels == layer.out_channels:
            yield Edit("removal", f"take out {path}", (gone,))
            continue
        group = group_of(network, operator)
        if group and group.writers == (path,):
            others = [change for change in group.resized(layer.in_channels) if change.path != path]
            yield Edit("removal", f"take out {path}", (gone, *others))


def followers(network: Network, kind: str) -> Iterator[Edit]:
    """Yield one more layer of a type that only needs the channels, behind each convolution."""
    for operator, path, layer in network.convolutions():
        if kind in ("BatchNorm2d", "InstanceNorm2d"):
            recipe = Recipe(kind, (layer.out_channels,))
        elif kind in ("ReLU", "GELU", "SiLU", "LeakyReLU", "ELU", "Hardswish", "Identity"):
            recipe = Recipe(kind)
        elif kind in ("Dropout", "Dropout2d"):
            recipe = Recipe(kind, (0.1,))
        elif kind == "Conv2d":
            recipe = Recipe(kind, (layer.out_channels, layer.out_channels, 1))
        else:
            return
        if min(operator.output_shape[2:], default=0) > 1:
            yield Edit("addition", f"put a {kind} behind {path}", (Change(path, after=(recipe,)),))


def _wide(network: Network) -> Iterator[tuple[Operator, str, nn.Conv2d]]:
    """Yield the convolutions with square kernels larger than 1x1, on maps."""
    for operator, path, layer in network.convolutions():
        square = len(set(layer.kernel_size)) == len(set(layer.dilation)) == 1
        if square and layer.kernel_size[0] > 1 and min(network.input_map(operator)[2:], default=0) > 1:
            yield operator, path, layer


def _dense(network: Network) -> Iterator[tuple[Operator, str, nn.Conv2d]]:
    """Yield the convolutions that a depthwise separable pair could replace."""
    for operator, path, layer in _wide(network):
        if layer.groups == 1 and layer.in_channels >= 4 and layer.padding_mode == "zeros":
            yield operator, path, layer


def _depthwise(layer: nn.Conv2d) -> Settings:
    """Return what makes a dense convolution the depthwise one of a pair."""
    channels: Settings = (
        () if layer.out_channels == layer.in_channels else (("out_channels", layer.in_channels),)
    )
    bias: Settings = () if layer.bias is None else (("bias", False),)
    return (*channels, ("groups", layer.in_channels), *bias)


def _groups(network: Network) -> Iterator[Group]:
    seen: set[tuple[str, ...]] = set()
    for operator, _, layer in network.convolutions():
        group = group_of(network, operator) if layer.groups == 1 else None
        if group and group.writers not in seen:
            seen.add(group.writers)
            yield group


def _steps(channels: int, wider: bool) -> list[int]:
    """Return other numbers of channels, round ones, in eighths of the present one."""
    unit = 8 if channels >= 32 else 4 if channels >= 16 else 2
    eighths = (10, 12, 16, 24) if wider else (7, 6, 5, 4, 3, 2, 1)
    found = [max(unit, round(channels * part / 8 / unit) * unit) for part in eighths]
    return [step for step in dict.fromkeys(found) if step != channels and (step > channels) == wider]


def _padding(layer: nn.Conv2d, kernel: int, dilation: int) -> Settings:
    """Return the padding that leaves the map as large as it was, as settings; none where it does so."""
    if isinstance(layer.padding, str):
        return ()
    more = dilation * (kernel - 1) - layer.dilation[0] * (layer.kernel_size[0] - 1)
    padding = tuple([old + more // 2 for old in layer.padding])
    if more % 2 or min(padding) < 0:
        return (("padding", _same(kernel, dilation)),)
    value: Any = padding[0] if len(set(padding)) == 1 else padding
    return (("padding", value),)


def _same(kernel: int, dilation: int) -> int:
    return dilation * (kernel - 1) // 2


def _keeps_size(layer: nn.Conv2d) -> bool:
    return layer.padding == (_same(layer.kernel_size[0], layer.dilation[0]),) * 2


def _pointwise(inside: int, outside: int, bias: bool) -> Recipe:
    return Recipe("Conv2d", (inside, outside, 1), () if bias else (("bias", False),))


def _one(path: str, settings: Settings) -> tuple[Change, ...]:
    return (Change(path, settings),)
