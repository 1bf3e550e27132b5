"""The graph as mermaid text: the same as the picture, and names that stay text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape

from cifar_report.analyzer.analysis import Analysis
from cifar_report.reporter.network_graph import network_graph
from cifar_report.reporter.network_graph_mermaid import network_mermaid
from tests.reporter.graph_networks import ANALYSES, HOSTILE, every_network, hostile_network, said

NODE = re.compile(r'    n(\d+)\["([^"]*)"\]:::(\w+)Kind')
EDGE = re.compile(r"    n(\d+) --> n(\d+)")
STYLE = re.compile(r"    classDef \w+Kind fill:#\w{6},stroke:#\w{6}(,stroke-width:3px)?,color:#1f2328")


def _decoded(label: str) -> str:
    """Return a label as mermaid shows it: `#34;` is a quotation mark."""
    return unescape(re.sub(r"#(\d+);", r"&#\1;", label))


@every_network
def test_every_line_of_the_mermaid_text_is_one_of_three_kinds(analysis: Analysis) -> None:
    first, *lines = network_mermaid(analysis).splitlines()
    assert first == "flowchart TD"
    graph = network_graph(analysis)
    nodes = [match for match in map(NODE.fullmatch, lines) if match]
    edges = [match for match in map(EDGE.fullmatch, lines) if match]
    styles = [match for match in map(STYLE.fullmatch, lines) if match]
    assert len(nodes) + len(edges) + len(styles) == len(lines)
    assert len(nodes) == len(graph.nodes) <= 60
    assert [(int(edge[1]), int(edge[2])) for edge in edges] == list(graph.edges)


def test_names_are_text_in_mermaid() -> None:
    analysis = hostile_network()
    labels = [match[2] for match in map(NODE.fullmatch, network_mermaid(analysis).splitlines()) if match]
    assert len(labels) == len(HOSTILE) + 1
    for label, name in zip(labels[1:], HOSTILE[:-1], strict=False):
        assert re.fullmatch(r"[\w .,:/()+\-=…\N{MULTIPLICATION SIGN}]*", re.sub(r"#\d+;|<br/>", "", label))
        assert name.replace(".", "") in _decoded(label)


def _sequence(labels: Sequence[str]) -> list[str]:
    return [_decoded(label).split("<br/>")[0] for label in labels]


def test_mermaid_says_the_same_as_the_picture() -> None:
    analysis = ANALYSES["document_003"]
    labels = [match[2] for match in map(NODE.fullmatch, network_mermaid(analysis).splitlines()) if match]
    assert _sequence(labels) == said(network_graph(analysis))
    assert labels[3].split("<br/>")[1:] == [
        "transblock1.0",
        "32\N{MULTIPLICATION SIGN}16\N{MULTIPLICATION SIGN}16, RF 7",
        "9,280 params",
    ]
