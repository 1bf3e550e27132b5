"""Which units of an operator's inputs some units of its output depend on, operator by operator.

Here are windows, which may leave holes, and operators that work unit by unit; in `density_moves` those
that move and join units. `density_fields` reads everything else off the rules of the receptive field.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from cifar_report.analyzer import windows
from cifar_report.analyzer.density_carry import Table, Taps, Way, carried
from cifar_report.analyzer.density_region import Marks, Region, any_along, whole
from cifar_report.analyzer.field_elementwise import ELEMENTWISE
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.shadow import Shape

Wanted = list[tuple[Value, Region | None]]
"""Inputs of an operator with the units wanted of them; None stands for none."""

PullRule = Callable[[Node, Value, Region], Wanted]

PULL_RULES: dict[str, PullRule] = {}


def pull_rule(*names: str) -> Callable[[PullRule], PullRule]:
    """Register a rule under operator names."""

    def register(function: PullRule) -> PullRule:
        for name in names:
            PULL_RULES[name] = function
        return function

    return register


@pull_rule(*ELEMENTWISE)
def unit_by_unit(node: Node, out: Value, region: Region) -> Wanted:
    """Return the same units of every operand, which may have been broadcast."""
    return [
        (value, _spread_back(region, value.shape, out.shape)) for value in dict.fromkeys(node.live_inputs)
    ]


def _spread_back(region: Region, shape: Shape, out: Shape) -> Region | None:
    extra = len(out) - len(shape)
    marks, origin = region.marks, list(region.origin)
    for dim, size in enumerate(out):
        if dim < extra or (shape[dim - extra] == 1 and size > 1):
            marks, origin[dim] = any_along(marks, [dim], keep=True), None
    return Region(marks.reshape(marks.shape[extra:]), tuple(origin[extra:]))


@pull_rule("copy")
def _copy(node: Node, out: Value, region: Region) -> Wanted:
    source: Value = node.args[1]
    return [(source, _spread_back(region, source.shape, out.shape))] if source.live else []


@pull_rule(*windows.CONVOLUTIONS)
def _convolution(node: Node, out: Value, region: Region) -> Wanted:
    settings, value = windows.convolution(node), node.args[0]
    channels = len(value.shape) - len(settings.kernel) - 1  # an unbatched input has its channels at 0
    groups, given, made = settings.groups, value.shape[channels], out.shape[channels]
    ways: list[Way] = [Taps(dim, 0) for dim in range(channels)]
    if groups == 1 or region.origin[channels] is None:
        ways.append(Taps(None, 0, given))
    elif groups == given == made:
        ways.append(Taps(channels, 0))
    else:
        first = np.arange(made) // (made // groups) * (given // groups)
        ways.append(intervals(channels, first, first + given // groups - 1))
    ways += _slides(settings, channels + 1)
    others = [(v, whole(len(v.shape))) for v in dict.fromkeys(node.live_inputs) if v is not value]
    # A weight that depends on the image as a whole comes with every unit.
    return [*([(value, carried(region, ways, out.shape, value.shape))] if value.live else []), *others]


@pull_rule(*windows.POOLS)
def _pool(node: Node, out: Value, region: Region) -> Wanted:
    settings, value = windows.pool(node), node.args[0]
    lead = len(value.shape) - len(settings.kernel)
    ways: list[Way] = [Taps(dim, 0) for dim in range(lead)]
    return [(value, carried(region, ways + _slides(settings, lead), out.shape, value.shape))]


def _slides(settings: windows.Window, lead: int) -> list[Way]:
    ways: list[Way] = []
    for axis, kernel in enumerate(settings.kernel):
        stride, padding, gap = settings.stride[axis], settings.padding[axis], settings.dilation[axis]
        if settings.transposed:
            ways.append(_spread_out(lead + axis, kernel, stride, padding, gap))
        else:
            ways.append(Taps(lead + axis, -padding, kernel, stride, gap))
    return ways


def _spread_out(dim: int, kernel: int, stride: int, padding: int, gap: int) -> Table:
    """Return how a transposed convolution works: j takes i where j = i * stride - padding + t * gap.

    The t are those of the kernel, 0 .. kernel - 1.
    """

    def sources(first: int, count: int) -> tuple[int, Marks]:
        low = -(-(first + padding - (kernel - 1) * gap) // stride)
        high = (first + count - 1 + padding) // stride
        outputs = np.arange(first, first + count)[:, None]
        away = outputs + padding - np.arange(low, max(high, low) + 1) * stride
        return low, (away % gap == 0) & (away >= 0) & (away <= (kernel - 1) * gap)

    return Table(dim, sources)


def intervals(dim: int, low: Sequence[int] | np.ndarray, high: Sequence[int] | np.ndarray) -> Table:
    """Return a dimension of which output j, on the tensor, takes low[j] .. high[j]."""
    lows, highs = np.asarray(low), np.asarray(high)

    def sources(first: int, count: int) -> tuple[int, Marks]:
        outputs = np.arange(first, first + count)
        known = (outputs >= 0) & (outputs < len(lows))
        index = np.where(known, outputs, 0)
        return taken(np.where(known, lows[index], 0), np.where(known, highs[index], -1))

    return Table(dim, sources)


def taken(low: np.ndarray, high: np.ndarray) -> tuple[int, Marks]:
    """Return the first input, and marks (outputs, inputs), of outputs that take low .. high each."""
    some = low <= high
    if not some.any():
        return 0, np.zeros((len(low), 1), dtype=bool)
    first, last = int(low[some].min()), int(high[some].max())
    inputs = np.arange(first, last + 1)
    return first, (inputs >= low[:, None]) & (inputs <= high[:, None])
