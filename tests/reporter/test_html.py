from __future__ import annotations

import base64
import hashlib
import html
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from cifar_report.reporter.author import Author, Link
from cifar_report.reporter.sections import choose
from cifar_report.reporter.write import Wishes, write_report

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
SIZE = 3_000_000
"""Of the page, at most [bytes]."""


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


def test_nothing_can_be_fetched_and_only_our_script_can_run(report: Path) -> None:
    page = read(report)
    policies = [
        str(tag["content"]) for tag in page.all("meta") if tag.get("http-equiv") == "Content-Security-Policy"
    ]
    (script,) = page.texts["script"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policies == [
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}';"
        " base-uri 'none'; form-action 'none'"
    ]
    assert page.all("script") == [{}]
    assert page.all("iframe") == page.all("object") == page.all("form") == []
    assert [link["rel"] for link in page.all("link")] == ["icon"]
    text = report.read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href|srcset)=\"(?!data:|#)", text)
    assert "url(" not in text
    assert "://" not in script
    assert not any(name.startswith("on") or name == "style" for _, tag in page.tags for name in tag)


def test_the_page_is_small(report: Path) -> None:
    assert report.stat().st_size < SIZE


def test_every_section_heading_and_table_of_the_readme_is_there_without_the_script(report: Path) -> None:
    page, readme = read(report), (report.parent / "README.md").read_text(encoding="utf-8")
    for mark, tag in (("##", "h2"), ("###", "h3")):
        assert set(re.findall(rf"^{mark} (.+)$", readme, re.M)) <= set(page.texts[tag])
    captions = {
        html.unescape(text.replace("\\", "")) for text in re.findall(r"^\*([^*].+[^*])\*$", readme, re.M)
    }
    assert captions <= set(page.texts["caption"])
    assert len(captions) > 10
    assert not page.all("button")
    hidden = {str(tag.get("id")) for _, tag in page.tags if "hidden" in tag}
    assert hidden == {"pane", "reader"}, "what the script fills, and nothing else"


def test_each_layer_points_at_what_the_unit_nearest_to_the_middle_sees(report: Path) -> None:
    rows = [row for row in read(report).all("tr") if "data-kind" in row]
    sizes = [3, 3, 3, 5, 5, 5, 13, 43, 43]
    assert [row["data-kind"] for row in rows] == ["local"] * len(sizes)
    assert [(row["data-width"], row["data-height"]) for row in rows] == [(f"{n}", f"{n}") for n in sizes]
    for row, stride in zip(rows, (1, 1, 1, 2, 2, 2, 2, 32, 32), strict=True):
        for corner, side in (("data-x", "data-width"), ("data-y", "data-height")):
            centre = float(str(row[corner])) + float(str(row[side])) / 2
            assert abs(centre - 15.5) <= stride / 2


def test_links_of_the_author_are_all_that_leaves_the_page(run_folder: Path) -> None:
    author = Author("Ada <i>", "batch & 2", (Link("Code", "https://example.org/?a=1&b=2"),))
    path = write_report(run_folder, wishes=Wishes(author=author)).html
    page = read(path)
    links = [tag for tag in page.all("a") if not str(tag["href"]).startswith("#")]
    assert links == [{"href": "https://example.org/?a=1&b=2", "rel": "noopener noreferrer"}]
    assert page.texts["strong"][0] == "Ada <i>"
    assert "batch & 2" in page.texts["span"]


def test_sections_come_in_the_wanted_order(run_folder: Path) -> None:
    path = write_report(run_folder, wishes=Wishes(sections=choose(["results", "verdict"]))).html
    assert [tag["id"] for tag in read(path).all("section")] == ["results", "verdict"]


def test_every_picture_is_inside_in_both_variants_and_has_words(report: Path) -> None:
    page = read(report)
    images, sources = page.all("img"), page.all("source")
    readme = (report.parent / "README.md").read_text(encoding="utf-8")
    assert len(images) == len(sources) == readme.count("<img ") > 8
    for address in [image["src"] for image in images] + [source["srcset"] for source in sources]:
        kind, content = str(address).split(";base64,")
        decoded = base64.b64decode(content, validate=True)
        assert decoded.startswith(b"RIFF" if kind == "data:image/webp" else (b"<?xml", b"<svg"))
    assert all(len(str(image["alt"])) > 40 for image in images)


def test_every_heading_cell_says_what_it_heads_and_every_table_has_a_caption(report: Path) -> None:
    page = read(report)
    assert {attributes["scope"] for attributes in page.all("th")} == {"col", "row"}
    assert len(page.all("table")) == len(page.all("caption")) > 10
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
    text = report.read_text(encoding="utf-8")
    readme = (report.parent / "README.md").read_text(encoding="utf-8")
    for fact in ("80.00 %", "81.00 %", "382,976", "Total params: 864", "24 of 30", "ShapeNet", "seed 7"):
        assert fact in text
        assert fact in readme


def test_hostile_names_stay_text(
    write_run: Callable[..., Path], tmp_path: Path, edit: Callable[..., None]
) -> None:
    folder = write_run(tmp_path / "run", classes=HOSTILE_CLASSES)
    assignment = {"id": "x", "title": "</main><script>", "prose": "<b>\n\n- </ul>"}
    edit(folder / "config.json", model='m<script>"', command="<pre></pre>", assignment=assignment)
    edit(folder / "environment.json", **{"<img src=x>": "</td>"})
    page = read(write_report(folder).html)
    assert page.all("script") == [{}]
    assert all(str(tag["src"]).startswith("data:image/") for tag in page.all("img"))
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
