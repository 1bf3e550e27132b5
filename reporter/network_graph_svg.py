"""The network's graph as one SVG file of its own, without script or links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

from cifar_report.reporter.network_graph import LIMIT, network_graph
from cifar_report.reporter.network_graph_layout import BOX_WIDTH, CORNER, Layout, Route, lay_out
from cifar_report.reporter.network_graph_style import Scheme, style_sheet
from cifar_report.reporter.network_graph_texts import (
    END,
    START,
    Texts,
    box_lines,
    describe,
    title_and_facts,
    tooltip,
)
from cifar_report.reporter.network_graph_words import KINDS, fitted, width
from cifar_report.reporter.wording import one_line

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Analysis
    from cifar_report.reporter.network_graph import NetworkGraph

MAX_WIDTH = 980
"""What a report and GitHub show without making it smaller [px]."""
MARGIN = 16
LEAST_WIDTH = 420
FIRST_LINE = 17.0
"""Of the text in a box, from its top to the baseline."""
LINE = 15.0
_ARROW = 5.0


def network_svg(
    analysis: Analysis, *, limit: int = LIMIT, max_width: int = MAX_WIDTH, scheme: Scheme = "auto"
) -> str:
    """Return the network's graph as an SVG document.

    Args:
        analysis: of the network.
        limit: of the number of nodes.
        max_width: of the picture [px], unless a single column needs more.
        scheme: `auto` follows the reader's preference, with `prefers-color-scheme`.
    """
    graph = network_graph(analysis, limit)
    texts = [list(box_lines(node)) for node in graph.nodes]
    heights = [FIRST_LINE + LINE * len(lines) - 7 for lines in texts]
    layout = lay_out(heights, graph.edges, max_width - 2 * MARGIN)
    wide = max(layout.width, min(LEAST_WIDTH, max_width)) + 2 * MARGIN
    head = list(title_and_facts(graph, wide - 2 * MARGIN))
    top = MARGIN + 16.0 * len(head) + 22
    left = (wide - layout.width) / 2
    legend = _legend(graph, wide - 2 * MARGIN)
    high = top + layout.height + 22 + 18 * len(legend) + MARGIN
    title, *facts = head
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="network" viewBox="0 0 {wide:g} {high:g}"'
        f' width="{wide:g}" height="{high:g}" role="img" aria-labelledby="network-title network-desc">',
        f'<title id="network-title">{_text(f"Network graph of {analysis.model}")}</title>',
        f'<desc id="network-desc">{_text(describe(graph))}</desc>',
        f"<style>{style_sheet(scheme)}</style>",
        f'<rect class="paper" width="{wide:g}" height="{high:g}"/>',
        f'<text class="name" x="{MARGIN}" y="{MARGIN + 14}">{_text(title)}</text>',
        *(
            f'<text class="fact" x="{MARGIN}" y="{MARGIN + 34 + 16 * place}">{_text(fact)}</text>'
            for place, fact in enumerate(facts)
        ),
        f'<g transform="translate({left:g} {top:g})">',
        *(_edge(route) for route in layout.routes),
        *_boxes(graph, layout, texts, heights),
        "</g>",
        *_legend_parts(legend, top + layout.height + 34),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _boxes(
    graph: NetworkGraph, layout: Layout, texts: Sequence[Sequence[Texts]], heights: Sequence[float]
) -> Iterator[str]:
    for node, (x, y), lines, high in zip(graph.nodes, layout.boxes, texts, heights, strict=True):
        yield f'<g class="node {node.kind}" transform="translate({x:g} {y:g})">'
        yield f"<title>{_text(tooltip(node))}</title>"
        if node.kind == "block":
            yield f'<rect class="box" x="4" y="4" width="{BOX_WIDTH}" height="{high:g}" rx="5"/>'
        yield f'<rect class="box" width="{BOX_WIDTH}" height="{high:g}" rx="5"/>'
        yield f'<path class="bar" d="M5 0h1v{high:g}h-1a5 5 0 0 1-5-5V5a5 5 0 0 1 5-5z"/>'
        for number, line in enumerate(lines):
            for place, text in line.items():
                across = BOX_WIDTH - END if place in ("field", "params") else START
                down = FIRST_LINE + LINE * number
                yield f'<text class="{place}" x="{across}" y="{down:g}">{_text(text)}</text>' if text else ""
        yield "</g>"


def _edge(route: Route) -> str:
    points = route.points
    path = _bends(points) if route.curved else _corners(points)
    wire = f'<path class="wire" d="{path}"/>'
    if not route.arrow:
        return wire
    (x, y), before = points[-1], points[-2]
    sideways = before[1] == y and not route.curved
    tip = (
        f"M{x:g} {y:g}l{-_ARROW - 2:g} {-_ARROW + 1:g}v{2 * _ARROW - 2:g}z"
        if sideways
        else f"M{x:g} {y:g}l{-_ARROW + 1:g} {-_ARROW - 2:g}h{2 * _ARROW - 2:g}z"
    )
    return f'{wire}<path class="tip" d="{tip}"/>'


def _bends(points: Sequence[tuple[float, float]]) -> str:
    """Return a path whose sloping parts are S-curves that begin and end upright."""
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for (x, y), (to_x, to_y) in pairwise(points):
        half = (y + to_y) / 2
        upright = x == to_x
        path += f"V{to_y:g}" if upright else f"C{x:g} {half:g} {to_x:g} {half:g} {to_x:g} {to_y:g}"
    return path


def _corners(points: Sequence[tuple[float, float]]) -> str:
    """Return a path of lines along the axes with rounded corners."""
    path = f"M{points[0][0]:g} {points[0][1]:g}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        near, far = _towards(corner, before), _towards(corner, after)
        path += f"L{near[0]:g} {near[1]:g}Q{corner[0]:g} {corner[1]:g} {far[0]:g} {far[1]:g}"
    return f"{path}L{points[-1][0]:g} {points[-1][1]:g}"


def _towards(start: tuple[float, float], end: tuple[float, float]) -> tuple[float, float]:
    """Return the point at a corner's radius from one point on the way to another, half way at most."""
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])
    share = min(CORNER, length / 2) / length if length else 0.0
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _legend(graph: NetworkGraph, room: float) -> list[list[tuple[str, str, float]]]:
    """Return lines of kinds, words and places."""
    present = {node.kind for node in graph.nodes}
    entries: list[tuple[str, str]] = [(kind, words) for kind, words in KINDS.items() if kind in present]
    entries.append(("", "RF: receptive field of one unit of the output [px of the input]"))
    lines: list[list[tuple[str, str, float]]] = [[]]
    x = 0.0
    for kind, words in entries:
        needed = width(words, 11) + 34
        if lines[-1] and x + needed > room:
            lines.append([])
            x = 0.0
        lines[-1].append((kind, fitted(words, room - 16, 11), x))
        x += needed
    return lines


def _legend_parts(lines: Sequence[Sequence[tuple[str, str, float]]], y: float) -> Iterator[str]:
    for number, line in enumerate(lines):
        for kind, words, x in line:
            place = y + 18 * number
            if kind:
                square = f'x="{MARGIN + x:g}" y="{place - 9:g}" width="11" height="11" rx="2"'
                yield f'<g class="node {kind}"><rect class="box" {square}/></g>'
            shift = 16 if kind else 0
            yield f'<text class="legend" x="{MARGIN + x + shift:g}" y="{place:g}">{_text(words)}</text>'


def _text(text: str) -> str:
    return escape(one_line(text), quote=True)
