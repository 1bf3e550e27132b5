"""Where the holes of a receptive field come from: the layer that made them, and the windows behind it."""

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
    found: list[str] = []
    while True:
        node = densities.trace.nodes[densities.source(value).producer]
        reach = _reach(node)
        if reach is not None:
            found.insert(0, reach)
        before = [other for other in node.live_inputs if _has_holes(densities, other)]
        if not before:
            return Holes(layer_name(node.index), tuple(found))
        value = min(before, key=lambda other: densities.of(other).share or 0.0)


def _has_holes(densities: Densities, value: Value) -> bool:
    share = densities.of(value).share
    return share is not None and share < 1


def _reach(node: Node) -> str | None:
    """Return how a window reaches past its neighbours: by its dilation, or by a stride beyond its kernel."""
    if node.op in windows.CONVOLUTIONS:
        settings = windows.convolution(node)
    elif node.op in windows.POOLS:
        settings = windows.pool(node)
    else:
        return None
    dilations = [d if k > 1 else 1 for d, k in zip(settings.dilation, settings.kernel, strict=True)]
    if max(dilations) > 1:
        return f"dilation {_spelled(dilations)}"
    if not settings.transposed and any(s > k for s, k in zip(settings.stride, settings.kernel, strict=True)):
        return f"stride {_spelled(settings.stride)} of kernel {_spelled(settings.kernel)}"
    return None


def _spelled(sizes: tuple[int, ...] | list[int]) -> str:
    return str(sizes[0]) if len(set(sizes)) == 1 else "x".join(map(str, sizes))
