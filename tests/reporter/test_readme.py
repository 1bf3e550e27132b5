from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from cifar_report.reporter.sections import SECTIONS
from cifar_report.reporter.write import write_report

TABLES = 18
"""Key figures, verdicts, data 2, augmentation, network 3, structure 2, training 2, results 5, environment."""
ALLOWED_TAGS = {"picture", "source", "img", "details", "summary"}
HOSTILE_CLASSES = (
    "<script>alert(1)</script>",
    "a|b",
    "`x`",
    "*cat* 🐱",
    "</details>",
    "![x](y)",
    "\u202eevil",
)


class Tags(HTMLParser):
    """Collects tags and attributes of raw HTML."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def parse(path: Path) -> list[Token]:
    """Parse a file as GitHub-flavoured Markdown."""
    return MarkdownIt("gfm-like").parse(path.read_text(encoding="utf-8"))


def raw_html(tokens: Sequence[Token]) -> list[tuple[str, dict[str, str | None]]]:
    """Return the tags of all raw HTML in the document."""
    tags = Tags()
    for token in tokens:
        for part in [token, *(token.children or [])]:
            if part.type in ("html_block", "html_inline"):
                tags.feed(part.content)
    return tags.found


def text_of(token: Token) -> str:
    """Return what an inline token shows."""
    return "".join(child.content for child in token.children or [])


def tables(tokens: Sequence[Token]) -> dict[str, list[list[str]]]:
    """Return every table's rows by the first cell of its heading and the paragraph before it."""
    found: dict[str, list[list[str]]] = {}
    rows: list[list[str]] = []
    caption = ""
    for index, token in enumerate(tokens):
        if token.type == "inline" and tokens[index - 1].type == "paragraph_open":
            caption = text_of(token)
        elif token.type == "table_open":
            rows = found.setdefault(caption, [])
        elif token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            rows[-1].append(text_of(tokens[index + 1]))
    return found


@pytest.fixture(scope="module")
def readme(tmp_path_factory: pytest.TempPathFactory, synthetic: dict[str, Any]) -> Path:
    """The README of the made-up run."""
    return write_report(synthetic["write_run"](tmp_path_factory.mktemp("readme") / "run")).readme


def test_every_line_with_pipes_belongs_to_a_table(readme: Path) -> None:
    lines = [line for line in readme.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    tokens = parse(readme)
    rows = [token for token in tokens if token.type == "tr_open"]
    count = sum(token.type == "table_open" for token in tokens)
    assert count == TABLES
    # The line of dashes beneath a heading is no row.
    assert len(rows) == len(lines) - count


def test_all_rows_of_a_table_have_as_many_cells_as_its_heading_and_none_is_blank(readme: Path) -> None:
    for caption, rows in tables(parse(readme)).items():
        assert len({len(row) for row in rows}) == 1, caption
        assert all(cell.strip() for row in rows for cell in row), caption


def test_only_pictures_and_folded_parts_are_html(readme: Path) -> None:
    assert {tag for tag, _ in raw_html(parse(readme))} == ALLOWED_TAGS


def test_every_picture_exists_in_both_variants_and_has_words(readme: Path) -> None:
    tags = raw_html(parse(readme))
    images = [attributes for tag, attributes in tags if tag == "img"]
    sources = [attributes for tag, attributes in tags if tag == "source"]
    assert len(images) == len(sources) == 9
    for image, source in zip(images, sources, strict=True):
        assert (readme.parent / str(image["src"])).is_file()
        assert (readme.parent / str(source["srcset"])).is_file()
        assert len(str(image["alt"])) > 40
        assert source["media"] == "(prefers-color-scheme: dark)"


def test_links_within_the_document_lead_to_its_headings(readme: Path) -> None:
    tokens = parse(readme)
    headings = {
        re.sub(r"[^\w\- ]", "", text_of(tokens[index + 1]).lower()).replace(" ", "-")
        for index, token in enumerate(tokens)
        if token.type == "heading_open"
    }
    links = [
        str(child.attrs["href"])
        for token in tokens
        for child in token.children or []
        if child.type == "link_open"
    ]
    assert len(links) == len(SECTIONS)
    assert {link.removeprefix("#") for link in links} <= headings


def test_rows_add_up_to_the_totals_as_printed(readme: Path) -> None:
    found = tables(parse(readme))

    def figure(text: str) -> int:
        return int(text.replace(",", ""))

    layers = found["Every layer: cost and receptive field [px]"]
    for title in ("Parameters", "MACs"):
        column = layers[0].index(title)
        figures = [figure(row[column]) for row in layers[1:]]
        assert sum(figures[:-1]) == figures[-1]
    classes = found["Accuracy per class, over every test image"]
    for column in (1, 2):
        figures = [figure(row[column]) for row in classes[1:]]
        assert sum(figures[:-1]) == figures[-1]
    shares = [float(row[3].removesuffix(" %")) for row in classes[1:]]
    assert sum(shares[:-1]) / 3 == shares[-1]


def test_every_total_is_the_sum_of_its_column_as_printed(readme: Path) -> None:
    found = tables(parse(readme))
    summed = 0
    for caption, rows in found.items():
        if rows[-1][0] not in ("All", "All classes", "Total"):
            continue
        for column, title in enumerate(rows[0]):
            cells = [row[column].replace(",", "") for row in rows[1:]]
            if title in ("#", "Stride", "Start", "Field", "Backwards") or not all(map(str.isdecimal, cells)):
                continue
            *parts, total = map(int, cells)
            assert sum(parts) == total, (caption, title)
            summed += 1
    # Parameters and MACs of the layers; correct and all images per class; both splits; bins.
    assert summed == 7


def test_the_confusion_matrix_adds_up_to_the_classes_as_printed(readme: Path) -> None:
    found = tables(parse(readme))
    matrix = found["Confusion matrix: rows are the truth, columns the network's guess"]
    classes = {row[0]: row for row in found["Accuracy per class, over every test image"][1:-1]}
    for place, row in enumerate(matrix[1:]):
        assert sum(map(int, row[1:])) == int(classes[row[0]][2])
        assert int(row[1 + place]) == int(classes[row[0]][1])


def test_every_constraint_has_required_measured_margin_and_evidence(readme: Path) -> None:
    (verdicts,) = [rows for rows in tables(parse(readme)).values() if rows[0][0] == "Verdict"]
    states = {row[1]: row[0] for row in verdicts[1:]}
    assert states == {
        "params < 1_000": "✅ met",
        "rf > 52": "❌ not met",
        "test_accuracy >= 75": "✅ met",
        "epochs <= 10": "✅ met",
    }
    field = next(row for row in verdicts if row[1] == "rf > 52")
    assert field[3].startswith("43")
    assert "9" in field[4]


def test_the_assignment_stands_in_its_own_words(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    assert "**Shapes, lesson 1 (shapes-1)**\n\nTell shapes apart.\n\n- fewer than 1,000 parameters\n" in text


def test_the_headline_is_the_last_epoch_and_the_best_is_named_as_such(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    assert "80.00 % on 30 test images with 864 parameters, after 4 epochs, seed 7." in text
    assert "Best epoch: 3 with 81.00 %. It was chosen on the test split, so it is not the result." in text


def test_command_checksum_and_environment_are_there(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    assert "```sh\ncifar-report train shape_net.py:ShapeNet --data shapes --epochs 4\n```" in text
    assert re.search(r"SHA-256 of the weights: `[0-9a-f]{64}`", text)
    assert ["torch.version", "2.15"] in tables(parse(readme))["Environment"]


def test_an_interrupted_run_names_all_that_is_absent(write_run: Callable[..., Path], tmp_path: Path) -> None:
    text = write_report(write_run(tmp_path / "run", done=2)).readme.read_text(encoding="utf-8")
    assert "test accuracy not measured, because the run is not complete" in text
    assert "Not complete: 2 of 4 epochs done" in text
    assert "Test accuracy: not measured." in text
    assert "Picture: sample images were not kept in this run." in text
    assert "SHA-256 of the weights: `not measured: the run folder has no weights`" in text
    assert "### Confusion matrix\n\nNot measured.\n" in text
    assert "### Accuracy of each class\n\nNot measured.\n" in text
    assert "### Misclassified images\n\nNot measured.\n" in text
    (verdicts,) = [
        rows for rows in tables(MarkdownIt("gfm-like").parse(text)).values() if rows[0][0] == "Verdict"
    ]
    assert next(row for row in verdicts if row[1] == "test_accuracy >= 75")[3] == "not measured"


def test_a_run_without_assignment_log_or_augmentation_says_so(
    write_run: Callable[..., Path], tmp_path: Path, edit: Callable[..., None]
) -> None:
    folder = write_run(tmp_path / "run", done=0)
    edit(folder / "config.json", assignment=None, constraints=[], command="")
    edit(folder / "environment.json", replace=True)
    (folder / "augmentation.json").unlink()
    text = write_report(folder).readme.read_text(encoding="utf-8")
    assert "No assignment was given to this run." in text
    assert "No constraints were given, so nothing is judged." in text
    assert "None: training images went in as they are." in text
    assert "Picture: no epoch was completed, so there are no curves." in text
    assert "Training log: not measured; no epoch was completed." in text
    assert "Command: not recorded in this run." in text
    assert "Environment: not recorded in this run." in text


def test_hostile_names_stay_text(
    write_run: Callable[..., Path], tmp_path: Path, edit: Callable[..., None]
) -> None:
    folder = write_run(tmp_path / "run", classes=HOSTILE_CLASSES)
    assignment = {"id": "x", "title": "# <b>|`", "prose": "| a |\n<script>\n\n```\n# b\n\n</details>"}
    edit(folder / "config.json", model="m|`<script>`|", command="run `a` ```\n# x", assignment=assignment)
    edit(folder / "environment.json", **{"<img src=x>|": "a|b\n\n# c"})
    path = write_report(folder).readme
    tokens = parse(path)
    assert {tag for tag, _ in raw_html(tokens)} == ALLOWED_TAGS
    assert sum(token.type == "table_open" for token in tokens) == TABLES
    assert sum(token.type == "heading_open" for token in tokens) == 1 + len(SECTIONS) + 5
    assert all(child.type != "image" for token in tokens for child in token.children or [])
    classes = [row[0] for row in tables(tokens)["Accuracy per class, over every test image"][1:-1]]
    assert classes == [*HOSTILE_CLASSES[:-1], "evil"]
    title = next(tokens[index + 1] for index, token in enumerate(tokens) if token.tag == "h1")
    assert text_of(title) == "m|`<script>`| on shapes"
