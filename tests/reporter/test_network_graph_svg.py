"""What the picture of a graph says, in which letters and colours."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from itertools import pairwise

import pytest
from matplotlib.font_manager import FontProperties, findfont, get_font
from torch import nn

from cifar_report.analyzer.analysis import Analysis, ReceptiveField
from cifar_report.analyzer.assemble import analyze
from cifar_report.reporter import network_graph_layout as layouts
from cifar_report.reporter.network_graph_mermaid import network_mermaid
from cifar_report.reporter.network_graph_svg import network_svg
from cifar_report.reporter.network_graph_words import fitted, width
from tests.reporter.graph_networks import ANALYSES, every_network, hostile_network

SVG = "{http://www.w3.org/2000/svg}"


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
