"""What the picture of a network's graph says: in words for all of it, above it, and in a box."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from cifar_report.reporter.network_graph_layout import BOX_WIDTH
from cifar_report.reporter.network_graph_words import field_words, fitted, shape_words, width
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
    from cifar_report.reporter.network_graph import GraphNode, NetworkGraph

Texts = dict[str, str]
"""Texts of one line by their class."""

START, END = 12, 8
"""From a box's sides to the text in it [px]."""
ROOM = float(BOX_WIDTH - START - END)


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


def title_and_facts(graph: NetworkGraph, room: float) -> Iterator[str]:
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


def box_lines(node: GraphNode) -> Iterator[Texts]:
    """Yield a box's lines: type, what else it does, field; name; shape and parameters."""
    field = field_words(node.field)
    beside = ROOM - width(field, 11, bold=True) - 8
    label = one_line(", ".join((node.label, *node.settings)))
    all_of_it = one_line(" + ".join((label, *node.extras)))
    if width(all_of_it, 12, bold=True) <= beside:
        yield {"type": all_of_it, "field": field}
    else:
        rest = list(node.extras)
        if width(label, 12, bold=True) > ROOM:
            label, rest = node.label, [", ".join(node.settings), *rest]
        yield {"type": fitted(one_line(label), ROOM, 12, bold=True)}
        first, *others = _wrapped(rest, " + ", 11, [beside, ROOM])
        yield {"more": first, "field": field}
        yield from ({"more": line} for line in others)
    if node.name:
        yield {"path": fitted(one_line(node.name), ROOM, 10.5, mono=True, tail=0.85)}
    params = "" if node.kind == "input" else f"{count(node.params)} params"
    shown = shape_words(node.output_shape)
    if width(shown, 11) + width(params, 11) + 8 > ROOM:
        params = millions(node.params, " params").replace("  ", " ")
    yield {"shape": fitted(shown, ROOM - width(params, 11) - 8, 11), "params": params}


def tooltip(node: GraphNode) -> str:
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
