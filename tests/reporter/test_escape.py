from __future__ import annotations

import pytest
from markdown_it import MarkdownIt

from cifar_report.reporter import escape

HOSTILE = [
    "a|b",
    "a\\|b",
    "`code`",
    "a `` b ``` c",
    "<script>alert(1)</script>",
    "<b",
    "a <!-- b",
    "*bold* _under_ __dunder__ ~~gone~~",
    "snake_case_name",
    "[link](javascript:alert(1))",
    "![image](x.png)",
    "https://example.org www.example.org a@example.org",
    "&amp; &lt; &#35; & ",
    "# heading",
    "- item",
    "-",
    "--- ",
    "===",
    "1. item",
    "2) item",
    "> quote",
    "$x$ \\(y\\)",
    "🐱 cat",
    "חתול",
    "back\\slash\\",
    "| --- |",
    ":--",
    "+ plus",
    "\"quotes\" and 'single'",
]


def plain(tokens: list[object]) -> str:
    """Return the text that rendered Markdown shows, without any markup."""
    texts = []
    for token in tokens:
        for child in getattr(token, "children", None) or []:
            assert child.type in ("text", "code_inline", "text_special"), child
            texts.append(child.content)
    return "".join(texts)


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_renders_as_itself_in_a_paragraph(text: str) -> None:
    tokens = MarkdownIt("gfm-like").parse(str(escape.markdown(text)))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    assert plain(tokens) == " ".join(text.split())


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_stays_in_its_cell(text: str) -> None:
    source = f"| a | b |\n| --- | --- |\n| {escape.markdown(text)} | {escape.code(text)} |\n"
    tokens = MarkdownIt("gfm-like").parse(source)
    cells = [tokens[index + 1] for index, token in enumerate(tokens) if token.type == "td_open"]
    assert len(cells) == 2
    assert plain([cells[0]]) == plain([cells[1]]) == " ".join(text.split())


@pytest.mark.parametrize("text", [*HOSTILE, "```\nout\n```", "````"])
def test_nothing_closes_a_fence(text: str) -> None:
    tokens = MarkdownIt("gfm-like").parse(str(escape.fenced(text)))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == text.rstrip() + "\n"


def test_ordinary_figures_and_names_are_left_readable() -> None:
    for text in (
        "-9",
        "+98,766",
        "73.36 %",
        "< 100,000",
        "depthwise_separable",
        "3.11.2",
        "SGD (momentum 0.9)",
    ):
        assert str(escape.markdown(text)) == text


def test_attributes_hold_quotes_and_tags_as_text() -> None:
    assert str(escape.attribute('a "b" <c> & \n d')) == "a &quot;b&quot; &lt;c&gt; &amp; d"
