from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from html import unescape
from itertools import pairwise

import pytest
import torch
from matplotlib.font_manager import FontProperties, findfont, get_font
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_report.analyzer.analysis import Analysis, ReceptiveField
from cifar_report.analyzer.assemble import analyze
from cifar_report.models import registry
from cifar_report.reporter import network_graph_layout as layouts
from cifar_report.reporter.network_graph import NetworkGraph, network_graph
from cifar_report.reporter.network_graph_mermaid import network_mermaid
from cifar_report.reporter.network_graph_svg import network_svg
from cifar_report.reporter.network_graph_words import fitted, width

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    'a"]; b`*_<script>alert(1)</script>&amp;|{}',
    "end",
    "%%{init: {}}%%",
    'click n0 href "http://x"',
    "\u202e\u732b\U0001f600",
)


class Residual(nn.Module):
    def __init__(self, channels: int, out: int | None = None) -> None:
        super().__init__()
        out = out or channels
        stride = 1 if out == channels else 2
        self.conv1 = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Conv2d(channels, out, 1, stride=stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.stage = nn.Sequential(*[Residual(8) for _ in range(blocks)], Residual(8, 16))
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.stage(self.stem(x)).mean((2, 3)))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.middle = nn.Conv2d(16, 16, 3, padding=1)
        self.up2, self.up1 = nn.ConvTranspose2d(16, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)
        self.out = nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.down1(x))
        b = F.relu(self.down2(F.max_pool2d(a, 2)))
        c = self.up2(self.middle(F.max_pool2d(b, 2))) + b
        return self.out(torch.cat([self.up1(c), a], 1))


class Dense(nn.Module):
    """Every layer reads all before it, more of them than fit in the margin of a narrow picture."""

    def __init__(self, layers: int = 25) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3 + 4 * i, 4, 3, padding=1) for i in range(layers)])

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for layer in self.layers:
            seen.append(F.relu(layer(torch.cat(seen, 1))))
        return torch.cat(seen, 1)


class Branches(nn.Module):
    """Four branches of different lengths, and an input that is read at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(n)]) for n in (1, 2, 4, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([*(branch(x) for branch in self.branches), x], 1)


class Functional(nn.Module):
    """No submodules, and no two layers alike: nothing to open, nothing to count."""

    def __init__(self, layers: int = 100) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            [
                nn.Parameter(torch.zeros(4 + n % 3, 3 if n == 0 else 4 + (n - 1) % 3, 3, 3))
                for n in range(layers)
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        for weight in self.weights:
            x = F.relu(F.conv2d(x, weight, padding=1))
        return x.mean((2, 3))


class Attention(nn.Module):
    def __init__(self, blocks: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, stride=8)
        self.position = nn.Parameter(torch.zeros(1, 16, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, blocks, enable_nested_tensor=False)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.encoder(x).mean(1))


def chain(layers: int, *, alike: bool) -> nn.Sequential:
    """Convolution, normalisation and activation over and over."""
    parts: list[nn.Module] = []
    for index in range(layers):
        inside = 8 if alike or index % 2 else 9
        outside = 8 if alike or not index % 2 else 9
        parts += [nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU()]
    return nn.Sequential(nn.Conv2d(3, 8 if alike else 9, 1), *parts)


NETWORKS = {
    "resnet": ResNet(),
    "unet": UNet(),
    "dense": Dense(),
    "branches": Branches(),
    "functional": Functional(),
    "attention": Attention(),
    "400 layers alike": chain(133, alike=True),
    "400 layers": chain(133, alike=False),
    "one layer": nn.Conv2d(3, 4, 3),
    **{name: registry.build(name) for name in ("document_003", "document_001")},
}
ANALYSES = {name: analyze(network, (3, 32, 32), name=name) for name, network in NETWORKS.items()}
every_network = pytest.mark.parametrize("analysis", ANALYSES.values(), ids=ANALYSES)


def graph_of(module: nn.Module, limit: int = 60) -> NetworkGraph:
    return network_graph(analyze(module, (3, 32, 32)), limit)


def said(graph: NetworkGraph) -> list[str]:
    return [" + ".join((", ".join((node.label, *node.settings)), *node.extras)) for node in graph.nodes]


# What is a node


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


# Where it lies


def sampled(route: layouts.Route) -> Iterator[tuple[float, float]]:
    """Yield points along a route, by the definition of a cubic curve where it is one."""
    for (x0, y0), (x1, y1) in pairwise(route.points):
        for step in range(1, 40):
            t = step / 40
            if route.curved and x0 != x1:
                near, far = (1 - t) ** 2 * (1 + 2 * t), t * t * (3 - 2 * t)
                middle = (y0 + y1) / 2
                weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t + 3 * (1 - t) * t * t, t**3)
                yield near * x0 + far * x1, weights[0] * y0 + weights[1] * middle + weights[2] * y1
            else:
                yield x0 + t * (x1 - x0), y0 + t * (y1 - y0)


@every_network
@pytest.mark.parametrize("max_width", [250, 950])
def test_no_box_lies_on_another_and_no_edge_under_a_box(analysis: Analysis, max_width: int) -> None:
    graph = network_graph(analysis)
    heights = [40.0 + 15 * (index % 3) for index in range(len(graph.nodes))]
    layout = layouts.lay_out(heights, graph.edges, max_width)
    boxes = [
        (x, y, x + layouts.BOX_WIDTH, y + high) for (x, y), high in zip(layout.boxes, heights, strict=True)
    ]
    for index, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0
        assert top >= 0
        assert right <= layout.width
        assert bottom <= layout.height
        for other in boxes[:index]:
            assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
    for route in layout.routes:
        for x, y in sampled(route):
            assert -1 <= x <= layout.width + 1
            assert not any(box[0] + 1 < x < box[2] - 1 and box[1] + 1 < y < box[3] - 1 for box in boxes)


@every_network
def test_edges_begin_and_end_at_their_boxes(analysis: Analysis) -> None:
    graph = network_graph(analysis)
    layout = layouts.lay_out([50.0] * len(graph.nodes), graph.edges, 950)
    for (_, target), route in zip(graph.edges, layout.routes, strict=False):
        x, y = layout.boxes[target]
        end_x, end_y = route.points[-1]
        on_top = end_y == y and x < end_x < x + layouts.BOX_WIDTH
        on_the_side = end_x == x and y < end_y < y + 50
        assert on_top or on_the_side


def test_a_wide_picture_has_columns_and_a_narrow_one_has_one() -> None:
    edges = [(node, node + 1) for node in range(39)]
    wide, narrow = (layouts.lay_out([50.0] * 40, edges, width) for width in (950, 300))
    assert wide.width <= 950
    assert wide.height < narrow.height / 3
    assert narrow.width == layouts.BOX_WIDTH


# What it says


@every_network
@pytest.mark.parametrize("max_width", [300, 980])
def test_the_picture_is_well_formed_described_and_alone(analysis: Analysis, max_width: int) -> None:
    text = network_svg(analysis, max_width=max_width)
    root = ET.fromstring(text)
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert root.get("role") == "img"
    assert root.find(f"{SVG}title") is not None
    assert f"{analysis.totals.params:,} parameters" in (root.findtext(f"{SVG}desc") or "")
    assert "prefers-color-scheme:dark" in text
    assert re.findall(r"https?://[^\"]+", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"<script|<image|href|url\(|@import|on\w+=", text)


def _real_width(text: str, font: str, size: float) -> float:
    face = get_font(findfont(FontProperties(family=font.split(":")[0], weight=font.split(":")[1])))
    face.set_size(1000, 72)  # so large that nothing is rounded to pixels
    face.set_text(text)
    return float(face.get_width_height()[0] / 64) * size / 1000


FONTS = {
    "type": ("DejaVu Sans:bold", 12),
    "field": ("DejaVu Sans:bold", 11),
    "more": ("DejaVu Sans:normal", 11),
    "path": ("DejaVu Sans Mono:normal", 10.5),
    "shape": ("DejaVu Sans:normal", 11),
    "params": ("DejaVu Sans:normal", 11),
}


@every_network
def test_text_stays_in_its_box_and_apart_even_in_a_wide_font(analysis: Analysis) -> None:
    """Measured with the font itself, of which the picture only knows rounded widths."""
    for box in ET.fromstring(network_svg(analysis)).iterfind(f".//{SVG}g[@class]"):
        lines: dict[str, list[tuple[float, float]]] = {}
        for text in box.iterfind(f"{SVG}text"):
            font, size = FONTS[str(text.get("class"))]
            long = _real_width(text.text or "", font, size)
            x = float(str(text.get("x")))
            start = x - long if text.get("class") in ("field", "params") else x
            lines.setdefault(str(text.get("y")), []).append((start, start + long))
        for spans in lines.values():
            ordered = sorted(spans)
            assert ordered[0][0] >= 8
            assert ordered[-1][1] <= layouts.BOX_WIDTH - 4
            assert all(one[1] < other[0] for one, other in pairwise(ordered))


@pytest.mark.parametrize(
    ("font", "flags"),
    [
        ("DejaVu Sans:normal", {}),
        ("DejaVu Sans:bold", {"bold": True}),
        ("DejaVu Sans Mono:normal", {"mono": True}),
    ],
)
def test_no_letter_is_wider_than_it_is_taken_for(font: str, flags: dict[str, bool]) -> None:
    for letter in map(chr, [*range(33, 127), 0xD7, 0x2026]):
        assert _real_width(letter * 50, font, 10) <= 50 * width(letter, 10, **flags) + 2, letter


def test_a_text_without_room_keeps_both_ends() -> None:
    shorter = fitted("features.denseblock1.denselayer1.conv1", 120, 10)
    assert re.fullmatch(r"fea\w*…[\w.]*conv1", shorter)
    assert width(shorter, 10) <= 120
    assert fitted("short", 120, 10) == "short"


def _texts(svg: str, kind: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(svg).iterfind(f".//{SVG}text[@class='{kind}']")]


def test_global_and_unknown_fields_are_called_so() -> None:
    analysis = analyze(nn.Sequential(nn.Conv2d(3, 4, (3, 5)), nn.Linear(28, 2)), (3, 32, 32))
    fields = (
        ReceptiveField("global", cause="gate"),
        ReceptiveField("unknown", cause="an operator"),
    )
    layers = tuple(
        replace(layer, receptive_field=field, params=1, macs=None)
        for layer, field in zip(analysis.layers, fields, strict=False)
    )
    changed = replace(analysis, layers=(*layers, *analysis.layers[2:]))
    assert _texts(network_svg(analysis), "field")[0] == "RF 3\N{MULTIPLICATION SIGN}5"
    assert _texts(network_svg(changed), "field") == ["RF global", "RF unknown"]
    assert "unknown MACs" in network_svg(changed)
    assert "RF global" in network_mermaid(changed)
    assert "RF unknown" in network_mermaid(changed)


def hostile_network() -> Analysis:
    layers = [nn.Conv2d(3, 3, 1) for _ in HOSTILE]
    names = OrderedDict((name.replace(".", ""), layer) for name, layer in zip(HOSTILE, layers, strict=True))
    return analyze(nn.Sequential(names), (3, 8, 8), name=HOSTILE[0])


def test_names_are_text_in_the_picture() -> None:
    text = network_svg(hostile_network())
    root = ET.fromstring(text)
    assert not [element.tag for element in root.iter() if element.tag.endswith("script")]
    tooltips = [title.text or "" for title in root.iterfind(f".//{SVG}g/{SVG}title")]
    assert any("<script>alert(1)</script>&amp;|{}" in tooltip for tooltip in tooltips)
    assert "\u202e" not in text


def test_light_and_dark_can_be_chosen() -> None:
    analysis = ANALYSES["one layer"]
    assert "--paper:#0d1117" in network_svg(analysis, scheme="dark")
    assert "prefers-color-scheme" not in network_svg(analysis, scheme="dark")
    assert "--paper:#0d1117" not in network_svg(analysis, scheme="light")


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.2 defines it."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out_from_every_box(scheme: str) -> None:
    text = network_svg(ANALYSES["one layer"], scheme=scheme)
    colours = dict(re.findall(r"--([\w-]+):(#\w{6})", text))
    grounds = [colour for name, colour in colours.items() if name.endswith("-fill") or name == "paper"]
    assert len(grounds) == 9
    for ink in (colours["ink"], colours["muted"]):
        assert min(_contrast(ink, ground) for ground in grounds) >= 4.5
    assert _contrast(colours["wire"], colours["paper"]) >= 3


# The same as mermaid

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
