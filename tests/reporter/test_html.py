from __future__ import annotations

import base64
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cifar_report.reporter.write import write_report

VOID = {"meta", "source", "img", "br", "hr", "link", "input"}
HOSTILE_CLASSES = (
    "<script>alert(1)</script>",
    '" onload="x',
    "a&b",
    "</style>",
    "</table>",
    "🐱",
    "{{ 7*7 }}",
)
TABLES = 16
"""One less than in the README, where the key figures are a table too."""
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class Page(HTMLParser):
    """A strict reading: every end tag must close the innermost open element."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(attrs) == len(dict(attrs)), f"an attribute twice in {tag}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> inside {self.open}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every such element."""
        return [attributes for name, attributes in self.tags if name == tag]


def read(path: Path) -> Page:
    """Parse a report and hold that all its elements are closed."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    page.close()
    assert page.open == []
    return page


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, synthetic: dict[str, Any]) -> Path:
    """The HTML report of the made-up run."""
    return write_report(synthetic["write_run"](tmp_path_factory.mktemp("html") / "run")).html


def test_elements_are_balanced_and_the_language_is_named(report: Path) -> None:
    assert report.read_text(encoding="utf-8").startswith("<!doctype html>\n<html lang=")
    assert read(report).all("html") == [{"lang": "en"}]


def test_nothing_can_be_fetched_or_run(report: Path) -> None:
    page = read(report)
    policies = [
        tag["content"] for tag in page.all("meta") if tag.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == [POLICY]
    assert page.all("script") == page.all("link") == page.all("iframe") == []
    assert not re.search(r"(?:src|href|srcset)=\"(?!data:|#)", report.read_text(encoding="utf-8"))
    assert "url(" not in report.read_text(encoding="utf-8")


def test_every_picture_is_inside_in_both_variants_and_has_words(report: Path) -> None:
    page = read(report)
    images, sources = page.all("img"), page.all("source")
    assert len(images) == len(sources) == 7
    for address in [image["src"] for image in images] + [source["srcset"] for source in sources]:
        kind, content = str(address).split(";base64,")
        decoded = base64.b64decode(content, validate=True)
        assert decoded.startswith(b"\x89PNG" if kind == "data:image/png" else b"<?xml")
    assert all(len(str(image["alt"])) > 40 for image in images)


def test_every_heading_cell_says_what_it_heads_and_every_table_has_a_caption(report: Path) -> None:
    page = read(report)
    assert {attributes["scope"] for attributes in page.all("th")} == {"col", "row"}
    assert len(page.all("table")) == len(page.all("caption")) == TABLES
    assert all(text.strip() for text in page.texts["caption"])


def test_no_state_is_told_by_colour_alone(report: Path) -> None:
    text = report.read_text(encoding="utf-8")
    marks = re.findall(r'class="state (\w+)"><span aria-hidden="true">(.)</span> ([\w ]+)<', text)
    assert set(marks) == {("met", "✓", "met"), ("missed", "✗", "not met")}


def test_ids_are_unique_and_every_link_leads_to_one(report: Path) -> None:
    page = read(report)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(link["href"]).removeprefix("#") for link in page.all("a")} <= set(ids)
    labels = [attributes["aria-labelledby"] for _, attributes in page.tags if "aria-labelledby" in attributes]
    assert set(labels) <= set(ids)


def test_headings_go_down_one_level_at_a_time(report: Path) -> None:
    levels = [int(tag[1]) for tag, _ in read(report).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_it_says_the_same_figures_as_the_readme(report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    readme = (report.parent / "README.md").read_text(encoding="utf-8")
    for fact in ("80.00 %", "81.00 %", "382,976", "Total params: 864", "24 of 30", "ShapeNet", "seed 7"):
        assert fact in html
        assert fact in readme


def test_hostile_names_stay_text(
    write_run: Callable[..., Path], tmp_path: Path, edit: Callable[..., None]
) -> None:
    folder = write_run(tmp_path / "run", classes=HOSTILE_CLASSES)
    assignment = {"id": "x", "title": "</main><script>", "prose": "<b>\n\n- </ul>"}
    edit(folder / "config.json", model='m<script>"', command="<pre></pre>", assignment=assignment)
    edit(folder / "environment.json", **{"<img src=x>": "</td>"})
    page = read(write_report(folder).html)
    assert page.all("script") == []
    assert len(page.all("img")) == 7
    assert len(page.all("table")) == TABLES
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert set(HOSTILE_CLASSES) <= set(page.texts["th"])


def test_an_interrupted_run_is_whole_html_and_names_what_is_absent(
    write_run: Callable[..., Path], tmp_path: Path
) -> None:
    path = write_report(write_run(tmp_path / "run", done=0)).html
    read(path)
    text = path.read_text(encoding="utf-8")
    assert '<dd class="value">not measured</dd>' in text
    assert "Picture: no epoch was completed, so there are no curves." in text
    assert text.count(">Not measured.<") == 3
