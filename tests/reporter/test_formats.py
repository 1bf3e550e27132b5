"""The other formats: LaTeX read by a parser, JSON, CSV, a README in one file, front matter."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from markdown_it import MarkdownIt
from pylatexenc.latexwalker import (
    LatexEnvironmentNode,
    LatexGroupNode,
    LatexMacroNode,
    LatexNode,
    LatexWalker,
)

from cifar_report.analyzer.errors import UsageError
from cifar_report.reporter import pdf
from cifar_report.reporter.author import read_author
from cifar_report.reporter.latex import latex
from cifar_report.reporter.sections import SECTIONS, choose
from cifar_report.reporter.write import Wishes, write_report

HOSTILE = (
    r"\input{/etc/passwd}",
    "50 % & $x$ #1_2 ~^",
    "}{",
    "<script>alert(1)</script>",
    "a|b `x`",
    "🐱 \u202eevil",
    r"\end{document}",
)
EVERY = Wishes(formats=("markdown", "latex", "json", "csv"))


def nodes(text: str) -> list[LatexNode]:
    """Return every node of a LaTeX document; a brace or an environment that isn't closed is an error."""
    found: list[LatexNode] = []
    waiting = list(LatexWalker(text, tolerant_parsing=False).get_latex_nodes()[0])
    while waiting:
        node = waiting.pop()
        if node is None:
            continue
        found.append(node)
        if isinstance(node, LatexGroupNode | LatexEnvironmentNode):
            waiting += node.nodelist
        if isinstance(node, LatexMacroNode) and node.nodeargd:
            waiting += [argument for argument in node.nodeargd.argnlist if argument is not None]
    return found


def macros(text: str) -> set[str]:
    return {node.macroname for node in nodes(text) if isinstance(node, LatexMacroNode)}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory, synthetic: dict[str, Any]) -> Path:
    """The made-up run in the formats that take no browser."""
    folder = tmp_path_factory.mktemp("formats")
    write_report(synthetic["write_run"](folder / "run"), folder / "out", EVERY)
    return folder / "out"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, synthetic: dict[str, Any]) -> Path:
    """The same with classes whose names mean something to LaTeX."""
    folder = tmp_path_factory.mktemp("hostile")
    write_report(
        synthetic["write_run"](folder / "run", classes=HOSTILE),
        folder / "out",
        Wishes(formats=("latex", "csv"), author=read_author({"name": r"\def\x{1}", "batch": "%"})),
    )
    return folder / "out"


def test_the_latex_document_is_whole_and_its_pictures_exist(report: Path) -> None:
    text = (report / "report.tex").read_text(encoding="utf-8")
    assert {"documentclass", "section", "subsection", "toprule"} <= macros(text)
    pictures = re.findall(r"\\includegraphics\[[^]]*\]\{([^}]*)\}", text)
    assert len(pictures) == 9
    for picture in pictures:
        assert (report / picture).read_bytes()[:4] in (b"%PDF", b"\x89PNG")


def test_every_row_of_a_latex_table_has_a_cell_for_each_column(report: Path) -> None:
    text = (report / "report.tex").read_text(encoding="utf-8")
    tables = re.findall(r"\\begin\{longtable\}\{([^\n]*)\}\n(.*?)\\end\{longtable\}", text, flags=re.DOTALL)
    assert len(tables) == 18
    for letters, body in tables:
        columns = len(re.sub(r">\{[^}]*\}|p\{[^}]*\}", "", letters)) + letters.count("p{")
        rows = [line for line in body.splitlines() if line.endswith(r" \\")]
        assert rows
        assert {len(re.findall(r"(?<!\\)&", row)) + 1 for row in rows} == {columns}, rows[0]


def test_a_long_word_can_be_broken_and_a_short_one_cannot() -> None:
    checksum = "0123456789abcdef" * 4
    assert latex(f"weights {checksum}").count(r"\allowbreak{}") == len(checksum) // 8 - 1
    assert latex(checksum).replace(r"\allowbreak{}", "") == checksum
    assert "allowbreak" not in latex("a short-word here " * 9)


def test_the_command_goes_on_in_the_next_line(report: Path) -> None:
    text = (report / "report.tex").read_text(encoding="utf-8")
    command = text.split(r"\section{Reproduce}")[1].split(r"\par")[0]
    assert "cifar{-}report train " in command
    assert "~" not in command


def test_names_stay_text_in_latex(report: Path, hostile: Path) -> None:
    text = (hostile / "report.tex").read_text(encoding="utf-8")
    plain = (report / "report.tex").read_text(encoding="utf-8")
    allowed = macros(latex("".join(HOSTILE))) | {"DeclareUnicodeCharacter"}
    new = macros(text) - macros(plain)
    assert not new & {"input", "def"}
    assert new <= allowed | {"large", "par"}
    assert text.count(r"\end{document}") == 1
    assert r"\DeclareUnicodeCharacter{1F431}{{[}U+1F431{]}}" in text
    assert "\u202e" not in text


def test_json_holds_the_whole_document(report: Path) -> None:
    data = json.loads((report / "report.json").read_text(encoding="utf-8"))
    assert data["title"] == "shape_net.py:ShapeNet on shapes"
    assert [section["name"] for section in data["sections"]] == [section.name for section in SECTIONS]
    assert data["network"]["totals"]["rows"][0][:2] == ["Parameters", "864"]


def test_csv_rows_add_up_and_start_no_formula(report: Path, hostile: Path) -> None:
    with (report / "tables" / "network-layers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    figures = [int(row["Parameters"].replace(",", "")) for row in rows]
    assert sum(figures[:-1]) == figures[-1] == 864
    for path in [*(report / "tables").iterdir(), *(hostile / "tables").iterdir()]:
        with path.open(encoding="utf-8", newline="") as file:
            cells = [cell for row in csv.reader(file) for cell in row]
        bad = [cell for cell in cells if cell[:1] in "=@" and cell]
        assert not bad, path.name


def test_one_file_without_pictures_says_the_same(write_run: Callable[..., Path], tmp_path: Path) -> None:
    wishes = Wishes(formats=("markdown",), inline=True, front_matter=True)
    paths = write_report(write_run(tmp_path / "run"), tmp_path / "out", wishes)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"README.md"}
    text = paths.readme.read_text(encoding="utf-8")
    assert "<img" not in text
    assert "<picture" not in text
    assert re.search(r"(?m)^circle +█{32} +80\.0 %$", text)
    assert "* test accuracy   . training accuracy" in text
    head, body = text.split("---\n", 2)[1:]
    (model,) = yaml.safe_load(head)["model-index"]
    assert model["results"][0]["metrics"][0]["value"] == 80.0
    assert "verified" not in head
    assert MarkdownIt("gfm-like").parse(body)[0].tag == "h1"


def test_sections_come_as_they_are_named(write_run: Callable[..., Path], tmp_path: Path) -> None:
    wishes = Wishes(formats=("markdown",), inline=True, sections=choose(["limits", "verdict"]))
    text = write_report(write_run(tmp_path / "run"), None, wishes).readme.read_text(encoding="utf-8")
    assert re.findall(r"(?m)^## (.*)$", text) == ["Limits", "Verdict"]


@pytest.mark.parametrize("names", [["verdikt"], ["limits", "limits"]])
def test_a_section_that_is_not_there_or_named_twice_is_refused(names: list[str]) -> None:
    with pytest.raises(UsageError):
        choose(names)


def test_a_template_of_ones_own_replaces_single_sections(
    write_run: Callable[..., Path], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "report.md.j2").write_text(
        '{% extends "cifar-report/report.md.j2" %}\n'
        "{% block limits %}Mine: {{ d.title }}, {{ table(d.dataset.classes) }}{% endblock %}\n",
        encoding="utf-8",
    )
    wishes = Wishes(formats=("markdown",), inline=True, templates=own)
    text = write_report(write_run(tmp_path / "run"), None, wishes).readme.read_text(encoding="utf-8")
    assert "## Limits\n\nMine: shape_net.py:ShapeNet on shapes, *Images per class*" in text
    assert "## Verdict\n\n| Verdict |" in text


def test_a_broken_template_of_ones_own_is_one_message(write_run: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "report.md.j2").write_text("line\n{{ document.nothing }}", encoding="utf-8")
    wishes = Wishes(formats=("markdown",), inline=True, templates=tmp_path)
    with pytest.raises(UsageError, match=r"template report\.md\.j2") as caught:
        write_report(write_run(tmp_path / "run"), None, wishes)
    assert "nothing" in caught.value.found
    assert not (tmp_path / "run" / "README.md").exists()


def test_the_author_stands_at_the_top_and_stays_text(write_run: Callable[..., Path], tmp_path: Path) -> None:
    links = {"G|t [x](y)": "https://example.org/a_(b)?c=1&d='<>\"` e"}
    author = read_author({"name": "Ada <b>|`", "batch": "# ERA", "links": links})
    wishes = Wishes(formats=("markdown",), inline=True, author=author)
    text = write_report(write_run(tmp_path / "run"), None, wishes).readme.read_text(encoding="utf-8")
    tokens = MarkdownIt("gfm-like").parse(text.split("## Verdict")[0])
    assert not [token for token in tokens if token.type == "html_block"]
    parts = [child for token in tokens for child in token.children or []]
    assert not [part for part in parts if part.type == "html_inline"]
    (link,) = [part for part in parts if str(part.attrs.get("href", "")).startswith("http")]
    assert str(link.attrs["href"]).startswith("https://example.org/a")
    assert "".join(part.content for part in parts).startswith(
        "shape_net.py:ShapeNet on shapesAda <b>|` · # ERA"
    )


@pytest.mark.parametrize(
    "table",
    [
        "Ada",
        {"nam": "Ada"},
        {"name": 1},
        {"links": "x"},
        {"links": {"x": "javascript:alert(1)"}},
        {"links": {"x": "https://[bad"}},
    ],
)
def test_an_author_that_cannot_be_read_is_refused(table: Any) -> None:
    with pytest.raises(UsageError, match="author"):
        read_author(table)


def test_a_pdf_without_a_browser_is_refused_by_name(
    write_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(pdf.VARIABLE, raising=False)
    with pytest.raises(UsageError, match="none is installed"):
        write_report(write_run(tmp_path / "run", done=1), tmp_path / "out", Wishes(formats=("pdf",)))
    assert not (tmp_path / "out").exists()


def test_a_pdf_is_what_the_browser_prints(
    write_run: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = tmp_path / "browser"
    browser.write_text(
        '#!/bin/sh\nfor a in "$@"; do case "$a" in --print-to-pdf=*) '
        'echo "%PDF Chromium $*" > "${a#--print-to-pdf=}";; esac; done\n',
        encoding="utf-8",
    )
    browser.chmod(0o755)
    monkeypatch.setenv(pdf.VARIABLE, str(browser))
    (path,) = write_report(write_run(tmp_path / "run", done=1), None, Wishes(formats=("pdf",))).files
    printed = path.read_text(encoding="utf-8")
    assert "--headless" in printed
    assert "report.html" in printed
    assert not (tmp_path / "run" / "report.html").exists()
