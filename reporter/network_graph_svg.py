"""The network's graph as one SVG file of its own: text, colours for light and dark, no script, no links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING, Literal

from cifar_report.reporter.network_graph import LIMIT, network_graph
from cifar_report.reporter.network_graph_layout import BOX_WIDTH, CORNER, Layout, Route, lay_out
from cifar_report.reporter.network_graph_words import KINDS, field_words, fitted, shape_words, width
from cifar_report.reporter.wording import (
    count,
    field_pixels,
    field_sentence,
    millions,
    one_line,
    plural,
    shape,
)

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Analysis
    from cifar_report.reporter.network_graph import GraphNode, NetworkGraph

Scheme = Literal["auto", "light", "dark"]
_Texts = dict[str, str]
"""Texts of one line by their class."""

MAX_WIDTH = 980
"""What a report and GitHub show without making it smaller [px]."""
MARGIN = 16
PADDING = 12
LEAST_WIDTH = 420
FIRST_LINE = 17.0
"""Of the text in a box, from its top to the baseline."""
LINE = 15.0
_ARROW = 5.0

# name: paper, ink, muted, line, then a fill and an edge for every kind.
_COLOURS: dict[str, dict[str, str]] = {
    "light": {
        "paper": "#ffffff", "ink": "#1f2328", "muted": "#59636e", "wire": "#6e7781",
        "input-fill": "#f0f2f5", "input-edge": "#59636e",
        "convolution-fill": "#e6f1fa", "convolution-edge": "#0072b2",
        "linear-fill": "#e3f4ee", "linear-edge": "#00795a",
        "pooling-fill": "#fdf0de", "pooling-edge": "#b06000",
        "attention-fill": "#fbe7ee", "attention-edge": "#b0306a",
        "join-fill": "#f1eafa", "join-edge": "#7a4fb5",
        "block-fill": "#eef0ff", "block-edge": "#4450a8",
        "other-fill": "#f4f5f6", "other-edge": "#8c959f",
    },
    "dark": {
        "paper": "#0d1117", "ink": "#e6edf3", "muted": "#9da7b1", "wire": "#7d8590",
        "input-fill": "#1b2028", "input-edge": "#9198a1",
        "convolution-fill": "#10263a", "convolution-edge": "#56b4e9",
        "linear-fill": "#0f2a24", "linear-edge": "#2fc79a",
        "pooling-fill": "#2e2110", "pooling-edge": "#f0a742",
        "attention-fill": "#331826", "attention-edge": "#f07aa8",
        "join-fill": "#251d37", "join-edge": "#b794f0",
        "block-fill": "#1b1f3d", "block-edge": "#94a0f5",
        "other-fill": "#1a1f26", "other-edge": "#6e7681",
    },
}  # fmt: skip


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
    texts = [list(_lines(node)) for node in graph.nodes]
    heights = [FIRST_LINE + LINE * len(lines) - 7 for lines in texts]
    layout = lay_out(heights, graph.edges, max_width - 2 * MARGIN)
    wide = max(layout.width, min(LEAST_WIDTH, max_width)) + 2 * MARGIN
    head = list(_heading(graph, wide - 2 * MARGIN))
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
        f"<style>{_style(scheme)}</style>",
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


def describe(graph: NetworkGraph) -> str:
    """Say in words what the graph shows."""
    analysis = graph.analysis
    fields = analysis.totals.receptive_field
    chain = all(target == source + 1 for source, target in graph.edges)
    way = "one after the other" if chain else f"with {plural(len(graph.edges), 'connection')}"
    return (
        f"{one_line(analysis.model)} for an input of {shape(analysis.input_shape)}:"
        f" {plural(graph.operators, 'operator')} drawn as {plural(len(graph.nodes), 'node')}, {way}."
        f" {count(analysis.totals.params)} parameters. Receptive field before global pooling"
        f" {field_sentence(fields.before_gap)}; at the output {field_sentence(fields.output)}."
    )


def _heading(graph: NetworkGraph, room: float) -> Iterator[str]:
    """Yield the title, then lines of facts."""
    analysis = graph.analysis
    fields = analysis.totals.receptive_field
    before, output = field_pixels(fields.before_gap), field_pixels(fields.output)
    yield fitted(one_line(analysis.model), room, 16, bold=True)
    facts = [
        f"input {shape(analysis.input_shape)}",
        f"{count(analysis.totals.params)} parameters",
        f"{count(analysis.totals.macs)} MACs",
        f"receptive field {before} before global pooling",
        f"{output} at the output",
        f"{plural(graph.operators, 'operator')} as {plural(len(graph.nodes), 'node')}",
    ]
    if graph.loose_params:
        holders = [name or "the network itself" for name, _ in graph.loose_params]
        more = f" and {len(holders) - 2:,} more" if len(holders) > 2 else ""
        number = sum(figure for _, figure in graph.loose_params)
        facts.append(f"{count(number)} parameters in no box, held by {', '.join(holders[:2])}{more}")
    yield from _wrapped(facts, " · ", 12, [room])


def _wrapped(words: Sequence[str], separator: str, size: float, rooms: Sequence[float]) -> list[str]:
    """Return words in as many lines as they need; the last room [px] is that of all further lines."""
    lines = [""]
    for word in map(one_line, words):
        room = rooms[min(len(lines), len(rooms)) - 1]
        longer = f"{lines[-1]}{separator}{word}" if lines[-1] else word
        if lines[-1] and width(longer, size) > room:
            lines.append("")
            longer, room = word, rooms[-1]
        lines[-1] = fitted(longer, room, size)
    return lines


def _boxes(
    graph: NetworkGraph, layout: Layout, texts: Sequence[Sequence[_Texts]], heights: Sequence[float]
) -> Iterator[str]:
    for node, (x, y), lines, high in zip(graph.nodes, layout.boxes, texts, heights, strict=True):
        yield f'<g class="node {node.kind}" transform="translate({x:g} {y:g})">'
        yield f"<title>{_text(_tooltip(node))}</title>"
        if node.kind == "block":
            yield f'<rect class="box" x="4" y="4" width="{BOX_WIDTH}" height="{high:g}" rx="5"/>'
        yield f'<rect class="box" width="{BOX_WIDTH}" height="{high:g}" rx="5"/>'
        yield f'<path class="bar" d="M5 0h1v{high:g}h-1a5 5 0 0 1-5-5V5a5 5 0 0 1 5-5z"/>'
        for number, line in enumerate(lines):
            for place, text in line.items():
                across = BOX_WIDTH - 8 if place in ("field", "params") else PADDING
                down = FIRST_LINE + LINE * number
                yield f'<text class="{place}" x="{across}" y="{down:g}">{_text(text)}</text>' if text else ""
        yield "</g>"


def _lines(node: GraphNode) -> Iterator[_Texts]:
    """Yield a box's lines: type, what else it does, field; name; shape and parameters."""
    room = BOX_WIDTH - PADDING - 8.0
    field = field_words(node.field)
    beside = room - width(field, 11, bold=True) - 8
    label = one_line(", ".join((node.label, *node.settings)))
    all_of_it = one_line(" + ".join((label, *node.extras)))
    if width(all_of_it, 12, bold=True) <= beside:
        yield {"type": all_of_it, "field": field}
    else:
        rest = list(node.extras)
        if width(label, 12, bold=True) > room:
            label, rest = node.label, [", ".join(node.settings), *rest]
        yield {"type": fitted(one_line(label), room, 12, bold=True)}
        first, *others = _wrapped(rest, " + ", 11, [beside, room])
        yield {"more": first, "field": field}
        yield from ({"more": line} for line in others)
    if node.name:
        yield {"path": fitted(one_line(node.name), room, 10.5, mono=True, tail=0.85)}
    params = "" if node.kind == "input" else f"{count(node.params)} params"
    shown = shape_words(node.output_shape)
    if width(shown, 11) + width(params, 11) + 8 > room:
        params = millions(node.params, " params").replace("  ", " ")
    yield {"shape": fitted(shown, room - width(params, 11) - 8, 11), "params": params}


def _tooltip(node: GraphNode) -> str:
    """Return everything that is known about a node, uncut."""
    what = " + ".join((", ".join((node.label, *node.settings)), *node.extras))
    lines = [f"{node.name or 'input'}: {what}", f"output {shape(node.output_shape)}"]
    if node.field is not None:
        lines += [
            f"{count(node.params)} parameters, {count(node.macs)} MACs",
            f"receptive field {field_sentence(node.field)}",
        ]
    if len(node.layers) > 1:
        shown = ", ".join(node.layers[:12]) + (" …" if len(node.layers) > 12 else "")
        lines.append(f"{plural(len(node.layers), 'layer')}: {shown}")
    return "; ".join(one_line(line) for line in lines)


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


def _style(scheme: Scheme) -> str:
    """Return the style sheet; colours are variables of this picture, not of a page that it stands in."""
    sans = 'system-ui,-apple-system,"Segoe UI",Helvetica,Arial,"DejaVu Sans",sans-serif'
    mono = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace'
    rules = [
        f".network{{{_variables('dark' if scheme == 'dark' else 'light')}}}",
        f"@media (prefers-color-scheme:dark){{.network{{{_variables('dark')}}}}}" if scheme == "auto" else "",
        ".paper{fill:var(--paper)}",
        f".network text{{font-family:{sans};font-size:11px;fill:var(--ink)}}",
        ".network .name{font-size:16px;font-weight:700}",
        ".network .fact{font-size:12px;fill:var(--muted)}",
        ".network .type{font-size:12px;font-weight:700}",
        ".network .field{font-weight:700;text-anchor:end}",
        ".network .more,.network .legend{fill:var(--muted)}",
        f".network .path{{font-family:{mono};font-size:10.5px;fill:var(--muted)}}",
        ".network .params{text-anchor:end}",
        ".wire{fill:none;stroke:var(--wire);stroke-width:1.4}",
        ".tip{fill:var(--wire)}",
        *(
            f".{kind} .box{{fill:var(--{kind}-fill);stroke:var(--{kind}-edge)}}"
            f".{kind} .bar{{fill:var(--{kind}-edge)}}"
            for kind in KINDS
        ),
    ]
    return "\n".join(rule for rule in rules if rule)


def _variables(scheme: Literal["light", "dark"]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in _COLOURS[scheme].items())


def _text(text: str) -> str:
    return escape(one_line(text), quote=True)
