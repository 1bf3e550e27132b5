"""Where the holes of a receptive field come from: the layer that made them, and the dilations behind it."""

from __future__ import annotations

from collections.abc import Callable

from cifar_report.analyzer import windows
from cifar_report.analyzer.coverage import Holes
from cifar_report.analyzer.density import Densities
from cifar_report.analyzer.graph import Node, Value


def find_holes(densities: Densities, value: Value, layer_name: Callable[[int], str]) -> Holes | None:
    """Return where the holes of a value's field come from; None where it has none, or none is known of.

    Goes back along the values with holes, where branches meet to the one with most of them, up to the
    operator that sees none in front of it.

    Args:
        densities: of the trace.
        value: whose field.
        layer_name: names the layer of a node.
    """
    if not _has_holes(densities, value):
        return None
    dilations: list[str] = []
    while True:
        node = densities.trace.nodes[densities.source(value).producer]
        dilation = _dilation(node)
        if dilation is not None:
            dilations.insert(0, dilation)
        before = [other for other in node.live_inputs if _has_holes(densities, other)]
        if not before:
            return Holes(layer_name(node.index), tuple(dilations), _gap(densities, node))
        value = min(before, key=lambda other: densities.of(other).share or 0.0)


def _has_holes(densities: Densities, value: Value) -> bool:
    share = densities.of(value).share
    return share is not None and share < 1


def _window(node: Node) -> windows.Window | None:
    if node.op in windows.CONVOLUTIONS:
        return windows.convolution(node)
    return windows.pool(node) if node.op in windows.POOLS else None


def _dilation(node: Node) -> str | None:
    settings = _window(node)
    if settings is None:
        return None
    dilations = [d if k > 1 else 1 for d, k in zip(settings.dilation, settings.kernel, strict=True)]
    if max(dilations) == 1:
        return None
    return str(dilations[0]) if len(set(dilations)) == 1 else "x".join(map(str, dilations))


def _gap(densities: Densities, node: Node) -> tuple[int, int] | None:
    """Return how far apart a window's neighbouring inputs lie, and how much each of them sees [px].

    None where no window, but a join, makes the holes.
    """
    settings, value = _window(node), node.live_inputs[0]
    shadows, size = densities.fields.of(value), densities.of(value).size
    if settings is None or shadows is None or len(shadows) != len(settings.kernel):
        return None
    steps = [s.advance * d // s.period for s, d in zip(shadows, settings.dilation, strict=True)]
    gaps = [(step, seen) for step, seen in zip(steps, size, strict=True) if step > seen]
    return max(gaps, default=None)
