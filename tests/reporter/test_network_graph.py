"""What is a node of a network's graph."""

from __future__ import annotations

import pytest
from torch import Tensor, nn

from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.assemble import analyze
from cifar_report.reporter.network_graph import NetworkGraph, network_graph
from tests.reporter.graph_networks import ANALYSES, Residual, ResNet, every_network, said


def graph_of(module: nn.Module, limit: int = 60) -> NetworkGraph:
    return network_graph(analyze(module, (3, 32, 32)), limit)


@every_network
def test_every_layer_is_in_one_node(analysis: Analysis) -> None:
    shown = [name for node in network_graph(analysis).nodes for name in node.layers]
    does = [
        layer.name
        for layer in analysis.layers
        if layer.leaf and any(operator.layer == layer.index for operator in analysis.operators)
    ]
    assert sorted(shown) == sorted(does)


@every_network
def test_parameters_and_products_add_up(analysis: Analysis) -> None:
    graph = network_graph(analysis)
    loose = sum(number for _, number in graph.loose_params)
    assert sum(node.params for node in graph.nodes) + loose == analysis.totals.params
    assert sum(node.macs or 0 for node in graph.nodes) == analysis.totals.macs


@every_network
@pytest.mark.parametrize("limit", [3, 12, 60])
def test_there_are_never_more_nodes_than_asked_for(analysis: Analysis, limit: int) -> None:
    graph = network_graph(analysis, limit)
    assert 1 <= len(graph.nodes) <= limit
    assert all(source < target for source, target in graph.edges)


def test_a_network_that_does_nothing_is_a_node() -> None:
    assert said(graph_of(nn.Identity())) == ["Identity"]


def test_a_residual_block_is_drawn_as_it_computes() -> None:
    graph = graph_of(nn.Sequential(nn.Conv2d(3, 8, 1), Residual(8), Residual(8, 16)))
    assert said(graph) == [
        "Input",
        "Conv2d 1\N{MULTIPLICATION SIGN}1",
        "Conv2d 3\N{MULTIPLICATION SIGN}3 + BN + relu",
        "Conv2d 3\N{MULTIPLICATION SIGN}3 + BN",
        "Add + relu",
        "Conv2d 3\N{MULTIPLICATION SIGN}3, stride 2 + BN + relu",
        "Conv2d 3\N{MULTIPLICATION SIGN}3 + BN",
        "Conv2d 1\N{MULTIPLICATION SIGN}1, stride 2",
        "Add + relu",
    ]
    assert graph.edges == ((0, 1), (1, 2), (1, 4), (2, 3), (3, 4), (4, 5), (4, 7), (5, 6), (6, 8), (7, 8))


def test_what_two_read_is_not_swallowed_by_one_of_them() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return self.norm(y) + y

    assert said(graph_of(Twice()))[1:] == ["Conv2d 1\N{MULTIPLICATION SIGN}1", "BN", "Add"]


def test_settings_that_matter_are_named() -> None:
    layers = nn.Sequential(
        nn.Conv2d(3, 6, (3, 1), groups=3, padding=1),
        nn.Conv2d(6, 6, 3, dilation=(2, 1), groups=2),
        nn.MaxPool2d(2),
    )
    assert said(graph_of(layers))[1:] == [
        "Conv2d 3\N{MULTIPLICATION SIGN}1, depthwise",
        "Conv2d 3\N{MULTIPLICATION SIGN}3, 2 groups, dilation 2\N{MULTIPLICATION SIGN}1",
        "MaxPool2d 2\N{MULTIPLICATION SIGN}2, stride 2",
    ]


def test_repeated_blocks_are_counted_where_there_is_no_room() -> None:
    graph = graph_of(ResNet(blocks=40))
    (repeated,) = [node for node in graph.nodes if node.kind == "block"]
    assert repeated.label == "40 \N{MULTIPLICATION SIGN} Residual"
    assert repeated.name == "stage.0 … 39"
    assert repeated.params == 40 * sum(p.numel() for p in Residual(8).parameters())
    assert any(node.name == "stage.40.conv1" for node in graph.nodes), "the one that differs is an example"


def test_of_blocks_that_are_all_alike_the_first_is_an_example() -> None:
    graph = graph_of(nn.Sequential(nn.Conv2d(3, 8, 1), nn.Sequential(*[Residual(8) for _ in range(40)])))
    assert said(graph)[2:] == [
        "Conv2d 3\N{MULTIPLICATION SIGN}3 + BN + relu",
        "Conv2d 3\N{MULTIPLICATION SIGN}3 + BN",
        "Add + relu",
        "39 \N{MULTIPLICATION SIGN} Residual + 7 layers each",
    ]


def test_a_long_chain_of_equal_layers_is_counted() -> None:
    nodes = network_graph(ANALYSES["400 layers alike"]).nodes
    assert len(nodes) < 5
    assert sum(len(node.layers) for node in nodes) == 400


def test_a_long_chain_of_different_layers_is_summed_up_piece_by_piece() -> None:
    nodes = network_graph(ANALYSES["400 layers"]).nodes
    assert 30 < len(nodes) <= 60
    assert nodes[1].label.endswith("layers")


def test_attention_is_one_node_and_what_modules_hold_is_named() -> None:
    graph = network_graph(ANALYSES["attention"])
    assert [node.label for node in graph.nodes if node.kind == "attention"] == ["MultiheadAttention"] * 2
    assert graph.loose_params == (("", 256),)


def test_inputs_are_nodes_of_their_own() -> None:
    class Two(nn.Module):
        def forward(self, image: Tensor, mask: Tensor) -> Tensor:
            return image * mask

    graph = network_graph(analyze(Two(), inputs=[(3, 8, 8), (1, 8, 8)]))
    assert [(node.name, node.output_shape) for node in graph.nodes[:2]] == [
        ("image", (3, 8, 8)),
        ("mask", (1, 8, 8)),
    ]
    assert graph.edges == ((0, 2), (1, 2))
