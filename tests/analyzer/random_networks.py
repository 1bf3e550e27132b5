"""Random networks for property tests: chains and branches of operators that move the receptive field.

A network of a few channels; its maps may have any size. Where several units in a row see differently
(behind a transposed convolution, say), the pattern repeats after at most `period` units.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import prod
from typing import NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F


class Part(NamedTuple):
    """A piece of a network."""

    module: nn.Module
    channels: int
    """Of its output."""
    period: tuple[int, int] = (1, 1)
    """Units behind the piece for each unit in front of it, at most, per axis."""
    stride: tuple[int, int] = (1, 1)


class Apply(nn.Module):
    """A function that says what it is when a failing example is printed."""

    def __init__(self, words: str, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.words = words
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function."""
        return self.function(x)

    def extra_repr(self) -> str:
        """Return its description."""
        return self.words


class Join(nn.Module):
    """Two branches of one input, cropped to one size, then added or concatenated."""

    def __init__(self, left: nn.Module, right: nn.Module, how: str, crop: int) -> None:
        super().__init__()
        self.left = left
        self.right = right
        self.how = how
        self.crop = crop

    def forward(self, x: Tensor) -> Tensor:
        """Run both branches and join them."""
        left, right = self.left(x), self.right(x)
        height, width = (min(left.shape[d], right.shape[d]) - self.crop for d in (2, 3))
        left = left[:, :, :height, :width]
        right = right[:, :, right.shape[2] - height :, right.shape[3] - width :]
        return left + right if self.how == "add" else torch.cat([left, right], 1)

    def extra_repr(self) -> str:
        """Return how it joins."""
        return f"{self.how}, crop={self.crop}"


@cache
def pairs(first: int, last: int) -> st.SearchStrategy[tuple[int, int]]:
    """Draw a number per axis."""
    return st.tuples(st.integers(first, last), st.integers(first, last))


@cache
@st.composite
def convolutions(draw: st.DrawFn, channels: int, strided: bool) -> Part:
    """Draw a convolution of any kernel, stride, padding, dilation and groups."""
    groups = draw(st.sampled_from([g for g in (1, 2, channels) if channels % g == 0]))
    out = groups * draw(st.integers(1, max(4 // groups, 1)))
    stride = draw(pairs(1, 3)) if strided else (1, 1)
    module = nn.Conv2d(
        channels, out, draw(pairs(1, 4)), stride, draw(pairs(0, 2)),
        draw(pairs(1, 3)), groups, bias=False,
    )  # fmt: skip
    return Part(module, out, (1, 1), stride)


@cache
@st.composite
def pools(draw: st.DrawFn, channels: int, strided: bool) -> Part:
    """Draw a pool: maximum with dilation, or average; ceil mode or not."""
    kernel = draw(pairs(1, 4))
    stride = draw(pairs(1, 3)) if strided else (1, 1)
    padding = (draw(st.integers(0, kernel[0] // 2)), draw(st.integers(0, kernel[1] // 2)))
    ceil = draw(st.booleans())
    if draw(st.booleans()):
        dilation = draw(pairs(1, 2))
        return Part(nn.MaxPool2d(kernel, stride, padding, dilation, ceil_mode=ceil), channels, (1, 1), stride)
    return Part(nn.AvgPool2d(kernel, stride, padding, ceil), channels, (1, 1), stride)


@cache
@st.composite
def transposed(draw: st.DrawFn, channels: int) -> Part:
    """Draw a transposed convolution, with a kernel that may be smaller than its stride."""
    groups = draw(st.sampled_from([g for g in (1, 2) if channels % g == 0]))
    stride = draw(pairs(1, 3))
    module = nn.ConvTranspose2d(
        channels, 2 * groups, draw(pairs(1, 4)), stride, draw(pairs(0, 1)),
        (draw(st.integers(0, stride[0] - 1)), draw(st.integers(0, stride[1] - 1))), groups,
        dilation=draw(pairs(1, 2)), bias=False,
    )  # fmt: skip
    return Part(module, 2 * groups, stride)


@cache
@st.composite
def interpolations(draw: st.DrawFn, channels: int) -> Part:
    """Draw an interpolation by 2, 3 or 1 1/2."""
    mode = draw(st.sampled_from(["nearest", "nearest-exact", "bilinear"]))
    scale = draw(st.sampled_from([2, 3, 1.5]))
    period = 3 if scale == 1.5 else int(scale)
    return Part(nn.Upsample(scale_factor=scale, mode=mode), channels, (period, period))


@cache
@st.composite
def rearrangements(draw: st.DrawFn, channels: int) -> Part:
    """Draw an operator that moves units or leaves some out."""
    kinds = ["slice", "flip channels", "turn", "step", "crop"]
    if channels % 2 == 0 and channels > 2:
        kinds += ["shuffle", "chunk"]
    if channels % 4 == 0:
        kinds += ["pixel shuffle"]
    if channels <= 2:
        kinds += ["pixel unshuffle"]
    kind = draw(st.sampled_from(kinds))
    if kind == "slice":
        start = draw(st.integers(0, channels - 1))
        stop = draw(st.integers(start + 1, channels))
        return Part(Apply(f"[:, {start}:{stop}]", lambda x: x[:, start:stop]), stop - start)
    if kind == "flip channels":
        return Part(Apply("flip(1)", lambda x: x.flip(1)), channels)
    if kind == "turn":
        inner = draw(st.one_of(convolutions(channels, False), pools(channels, False)))
        turn = Apply("permute(0, 1, 3, 2)", lambda x: x.permute(0, 1, 3, 2))
        return inner._replace(module=nn.Sequential(turn, inner.module, turn))
    if kind == "step":
        offset, step = draw(st.integers(0, 1)), draw(st.integers(1, 2))
        function = Apply(f"[..., {offset}::{step}]", lambda x: x[..., offset::step])
        return Part(function, channels, (1, 1), (1, step))
    if kind == "crop":
        top, left = draw(pairs(0, 2))
        return Part(Apply(f"[:, :, {top}:, {left}:-1]", lambda x: x[:, :, top:, left:-1]), channels)
    if kind == "shuffle":
        return Part(nn.ChannelShuffle(2), channels)
    if kind == "chunk":
        return Part(Apply("swap halves", lambda x: torch.cat(x.chunk(2, 1)[::-1], 1)), channels)
    if kind == "pixel shuffle":
        return Part(nn.PixelShuffle(2), channels // 4, (2, 2))
    function = Apply("pixel unshuffle", lambda x: F.pixel_unshuffle(_even(x), 2))
    return Part(function, channels * 4, (1, 1), (2, 2))


def _even(x: Tensor) -> Tensor:
    return x[:, :, : x.shape[2] // 2 * 2, : x.shape[3] // 2 * 2]


@cache
def steps(channels: int, strided: bool, branching: bool) -> st.SearchStrategy[Part]:
    """Draw one piece."""
    kinds = [convolutions(channels, strided), pools(channels, strided)]
    if strided:
        kinds += [transposed(channels), interpolations(channels), rearrangements(channels)]
    if branching:
        kinds += [branches(channels)]
    return st.one_of(kinds)


@cache
@st.composite
def branches(draw: st.DrawFn, channels: int) -> Part:
    """Draw two branches that keep the stride, added or concatenated."""
    sides = [draw(chains(channels, draw(st.integers(0, 2)), False, False)) for _ in range(2)]
    how = "add" if sides[0].channels == sides[1].channels and draw(st.booleans()) else "cat"
    module = Join(sides[0].module, sides[1].module, how, draw(st.integers(0, 1)))
    return Part(module, sides[0].channels if how == "add" else sides[0].channels + sides[1].channels)


@cache
@st.composite
def chains(draw: st.DrawFn, channels: int, length: int, strided: bool, branching: bool) -> Part:
    """Draw pieces one after the other, keeping both period and stride small."""
    modules: list[nn.Module] = []
    period, stride = (1, 1), (1, 1)
    for _ in range(length):
        part = draw(steps(channels, strided, branching))
        own_period = (period[0] * part.period[0], period[1] * part.period[1])
        own_stride = (stride[0] * part.stride[0], stride[1] * part.stride[1])
        if prod(own_period) > 12 or max(own_stride) > 6 or part.channels > 8:
            continue
        modules.append(part.module)
        channels, period, stride = part.channels, own_period, own_stride
    return Part(nn.Sequential(*modules), channels, period, stride)


@cache
@st.composite
def networks(draw: st.DrawFn) -> Part:
    """Draw a network for images with 2 channels."""
    return draw(chains(2, draw(st.integers(1, 6)), True, True))
