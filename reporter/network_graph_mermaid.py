"""The network's graph as mermaid text, which GitHub draws inside a README."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cifar_report.reporter.network_graph import LIMIT, network_graph
from cifar_report.reporter.network_graph_style import COLOURS
from cifar_report.reporter.network_graph_words import field_words, shape_words
from cifar_report.reporter.wording import TIMES, count, one_line

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Analysis
    from cifar_report.reporter.network_graph import GraphNode
    from cifar_report.reporter.network_graph_words import Kind

_MEANT = frozenset(" .,:/()+-=…" + TIMES)


def network_mermaid(analysis: Analysis, *, limit: int = LIMIT) -> str:
    """Return the network's graph as a mermaid flowchart, without the fence that Markdown wants around it."""
    graph = network_graph(analysis, limit)
    used = sorted({node.kind for node in graph.nodes})
    lines = [
        "flowchart TD",
        *(f"    n{place}[{_quoted(node)}]:::{_class(node)}" for place, node in enumerate(graph.nodes)),
        *(f"    n{source} --> n{target}" for source, target in graph.edges),
        *(f"    classDef {kind}Kind {_style(kind)}" for kind in used),
    ]
    return "\n".join(lines) + "\n"


def _style(kind: Kind) -> str:
    # Text and fill are both given, so that a page's dark mode can't make one of them unreadable.
    colours = COLOURS["light"]
    edge = f"stroke:{colours[f'{kind}-edge']}" + (",stroke-width:3px" if kind == "block" else "")
    return f"fill:{colours[f'{kind}-fill']},{edge},color:{colours['ink']}"


def _class(node: GraphNode) -> str:
    # Some kinds are words of mermaid's own grammar.
    return f"{node.kind}Kind"


def _quoted(node: GraphNode) -> str:
    return '"' + "<br/>".join(_escaped(line) for line in _lines(node)) + '"'


def _lines(node: GraphNode) -> Iterator[str]:
    """Yield a node's text: type, name, figures."""
    yield " + ".join((", ".join((node.label, *node.settings)), *node.extras))
    if node.name:
        yield node.name
    if node.field is None:
        yield shape_words(node.output_shape)
    else:
        yield f"{shape_words(node.output_shape)}, {field_words(node.field)}"
        yield f"{count(node.params)} params"


def _escaped(text: str) -> str:
    """Return text as mermaid's character codes wherever a character could mean something to it.

    Quotes end a label, backticks and asterisks make it Markdown, angle brackets HTML.
    """
    return "".join(
        letter if letter.isalnum() or letter in _MEANT else f"#{ord(letter)};" for letter in one_line(text)
    )
