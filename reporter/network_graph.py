"""The network as a graph to look at: a few dozen nodes, whatever its depth.

Operators are gathered by the module tree. Modules are opened kind by kind, from the outside inwards, as long
as the graph stays below a limit; convolution, normalisation, activation and dropout in a row are one node.
Where that leaves modules closed, blocks that repeat are drawn once and counted.

What a module does is an interval of the operators in order, and so is what is made one node here or a chain
without branches; therefore no node ever lies on a way around itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cifar_report.reporter.network_graph_parts import Group, Parts, gather
from cifar_report.reporter.network_graph_words import Kind, contents, heading, kind_of, short_name

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Analysis, ReceptiveField

LIMIT = 60
"""Nodes that a person still finds their way through, and that GitHub draws as mermaid without complaint."""
MOST_EDGES = 1.5
"""Per node: more is a tangle, such as a dense block of 32 layers."""
FEWEST = 8
"""With fewer nodes than this, modules are opened although they don't fit, and summed up piece by piece."""


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A layer, a few layers in a row, or a module with all that is in it."""

    name: str
    """Dotted path of the layer that counts, or `first … last` of several."""
    label: str
    """What it is, such as `Conv2d` with its kernel or a number of `Bottleneck`s."""
    settings: tuple[str, ...]
    """Of the layer that counts, such as `stride 2` and `depthwise`."""
    extras: tuple[str, ...]
    """What comes behind it in the same node, such as `BN` and `ReLU`."""
    kind: Kind
    layers: tuple[str, ...]
    """Every layer that it stands for."""
    output_shape: tuple[int, ...] | None
    """Without the batch."""
    params: int
    macs: int | None
    field: ReceptiveField | None
    """Of its output; None for the input itself."""


@dataclass(frozen=True, slots=True)
class NetworkGraph:
    """Nodes in an order in which every edge leads forwards."""

    model: str
    nodes: tuple[GraphNode, ...]
    edges: tuple[tuple[int, int], ...]
    loose_params: tuple[tuple[str, int], ...]
    """Parameters that opened modules hold themselves, which are in no node: module and number."""
    operators: int
    """How many the nodes stand for."""
    analysis: Analysis
    """What it was made from."""


def network_graph(analysis: Analysis, limit: int = LIMIT) -> NetworkGraph:
    """Return the network as at most `limit` nodes, its inputs among them."""
    parts = gather(analysis)
    room = max(1, limit - len(parts.inputs))
    groups = _compressed(parts, _chosen(parts, room), room)
    nodes = [*(_input_node(analysis, number) for number in parts.inputs)]
    nodes += [_node(parts, members) for members in groups]
    return NetworkGraph(
        model=analysis.model,
        nodes=tuple(nodes),
        edges=tuple(sorted(_edges(parts, groups))),
        loose_params=parts.loose([group for members in groups for group in members]),
        operators=len(analysis.operators),
        analysis=analysis,
    )


def _chosen(parts: Parts, room: int) -> list[Group]:
    """Return the modules to draw: opened as far as there is room, repeated ones closed if that helps."""
    plain, shut = _opened(parts, room, repeats=False)
    if not shut:
        return plain
    counted, still_shut = _opened(parts, room, repeats=True)
    if len(still_shut) < len(shut):
        plain, shut = counted, still_shut
    while shut and len(_fused(parts, plain)) < min(FEWEST, room):
        plain = [inner for group in plain for inner in parts.opened(group)]
        shut = {parts.kind(group) for group in plain if parts.can_open(group)}
    return plain


def _opened(parts: Parts, room: int, repeats: bool) -> tuple[list[Group], set[tuple[int, str]]]:
    """Open one kind of module after the other; return the cut, and the kinds that didn't fit.

    Of those, one is opened as an example if it fits.
    """
    cut = parts.outermost()
    shut: set[tuple[int, str]] = set()
    while True:
        kinds = {parts.kind(group) for group in cut if parts.can_open(group)} - shut
        if not kinds:
            return cut, shut
        kind = min(kinds)
        wanted = [group for group in cut if parts.can_open(group) and parts.kind(group) == kind]
        if repeats:
            closed = parts.repeats_closed(cut, wanted)
            trial = _with_open(parts, closed, [group for group in wanted if group in closed])
        else:
            trial = _with_open(parts, cut, wanted)
        if _fits(parts, trial, room):
            cut = trial
            continue
        shut.add(kind)
        for example in parts.examples(wanted):
            trial = _with_open(parts, cut, [example])
            if _fits(parts, trial, room):
                cut = trial
                break


def _fits(parts: Parts, cut: Sequence[Group], room: int) -> bool:
    fused = _fused(parts, cut)
    return len(fused) <= room and len(parts.links(fused)) <= MOST_EDGES * room


def _with_open(parts: Parts, cut: Sequence[Group], wanted: Sequence[Group]) -> list[Group]:
    chosen = {id(group) for group in wanted}
    return [inner for group in cut for inner in (parts.opened(group) if id(group) in chosen else [group])]


def _fused(parts: Parts, cut: Sequence[Group]) -> list[list[Group]]:
    """Put what only changes numbers, not the map, behind the layer that it follows."""
    links = parts.links([[group] for group in cut])
    sources: dict[int, list[int]] = {place: [] for place in range(len(cut))}
    targets: dict[int, list[int]] = {place: [] for place in range(len(cut))}
    for source, target in links:
        sources[target].append(source)
        if source >= 0:
            targets[source].append(target)
    fused: list[list[Group]] = []
    home: dict[int, int] = {}
    for place, group in enumerate(cut):
        source = sources[place][0] if len(sources[place]) == 1 else -1
        if source >= 0 and len(targets[source]) == 1 and parts.follows(group, cut[source]):
            home[place] = home[source]
            fused[home[source]].append(group)
        else:
            home[place] = len(fused)
            fused.append([group])
    return fused


def _compressed(parts: Parts, cut: Sequence[Group], room: int) -> list[list[Group]]:
    """Fuse, then count repetitions, then take several at a time, until there is room."""
    groups = _fused(parts, cut)
    if len(groups) > room:
        groups = parts.counted(groups)
    if len(groups) > room:
        step = -(-len(groups) // room)
        pieces = [groups[start : start + step] for start in range(0, len(groups), step)]
        groups = [[Group.of(group for members in piece for group in members)] for piece in pieces]
    return groups


def _edges(parts: Parts, groups: Sequence[Sequence[Group]]) -> set[tuple[int, int]]:
    """Return the edges between all nodes, inputs first."""
    inputs = {number: place for place, number in enumerate(parts.inputs)}
    shift = len(inputs)
    return {
        (inputs[source] if source < 0 else source + shift, target + shift)
        for source, target in parts.links(groups)
    }


def _input_node(analysis: Analysis, number: int) -> GraphNode:
    """Return the node of an input, -1 for the first."""
    place = -1 - number
    spec = analysis.inputs[place] if place < len(analysis.inputs) else None
    return GraphNode(
        name=(spec.name if spec and spec.name else ""),
        label="Input",
        settings=(),
        extras=(),
        kind="input",
        layers=(),
        output_shape=spec.shape if spec else analysis.input_shape,
        params=0,
        macs=0,
        field=None,
    )


def _node(parts: Parts, members: Sequence[Group]) -> GraphNode:
    head, *rest = members
    rows = [row for group in members for row in group.rows()]
    last = members[-1].parts[-1].row
    label, settings = heading(parts, head)
    layers = [row.name for row in rows if row.leaf or row.kind == "function"]
    node = GraphNode(
        name=_name(head),
        label=label,
        settings=settings,
        extras=contents(head) if head.closed else (),
        kind=kind_of(parts, head),
        layers=tuple(layers),
        output_shape=None if last.output_shape is None else last.output_shape[1:],
        params=sum(row.params for row in rows),
        macs=_sum(row.macs for row in rows),
        field=last.receptive_field,
    )
    return replace(node, extras=(*node.extras, *(short_name(group.parts[0].row) for group in rest)))


def _name(group: Group) -> str:
    """Return a path, or those of the first and the last part: `layer3.1 … 35`."""
    first, last = group.parts[0].row.name, group.parts[-1].row.name
    if first == last:
        return first
    stem = first.rstrip("0123456789")
    number = last.removeprefix(stem)
    return f"{first} … {number if last.startswith(stem) and number.isdecimal() else last}"


def _sum(figures: Iterable[int | None]) -> int | None:
    known = list(figures)
    return None if None in known else sum(figure for figure in known if figure is not None)
