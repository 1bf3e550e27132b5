"""Text into Markdown and HTML so that nobody's text can become markup.

Class names, file names and assignments are written by users. Everything that a template prints goes through
here; what a function returns as `Markup` is finished.
"""

from __future__ import annotations

import re
from html import escape as html_escape

from markupsafe import Markup

from cifar_report.reporter.wording import one_line

_ANYWHERE = re.compile(r"[\\`*\[\]|~$#]|<(?=[A-Za-z/!?])|&(?=[A-Za-z#])")
# Between letters or digits an underscore is never emphasis, and escaped ones are hard to read in the source.
_UNDERSCORE = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
# Bullets, rules, underlines of headings, numbers of lists, quotations.
_AT_START = re.compile(r"^(?:[-+](?=[-+\s]|$)|=+$|>|\d{1,9}(?=[.)](?:\s|$)))")
_LINK = re.compile(r"(?i)\b(https?|ftp)://|\bwww\.|(?<=\w)@(?=\w)")

_IN_ADDRESS = {"(": "%28", ")": "%29", "&": "&amp;", "_": "%5F", "*": "%2A"}


def markdown(text: str) -> Markup:
    """Return text as GitHub-flavoured Markdown that renders as the same text, on one line.

    It can stand in a paragraph, a heading, a list item or a table's cell. Addresses aren't turned into links.
    """
    line = _ANYWHERE.sub(lambda match: _entity(match.group()), one_line(str(text)))
    line = _UNDERSCORE.sub(r"\\_", line)
    line = _LINK.sub(
        lambda match: match.group().replace(":", "&#58;").replace(".", "&#46;").replace("@", "&#64;"), line
    )
    return Markup(_AT_START.sub(_escape_start, line))


def code(text: str) -> Markup:
    """Return text as Markdown's inline code, on one line, safe in a table's cell too.

    A pipe would end a cell even in code, and a backslash before it would be printed outside of
    tables, so text with one is escaped as plain text instead.
    """
    line = one_line(str(text))
    if not line or "|" in line:
        return markdown(line)
    ticks = _longer_than(line)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Markup(f"{ticks}{pad}{line}{pad}{ticks}")


def fenced(text: str, language: str = "text") -> Markup:
    """Return lines of text as Markdown's fenced code block; no line in it can close the fence."""
    fence = _longer_than(text, least=3)
    return Markup(f"{fence}{language}\n{text.rstrip()}\n{fence}")


def attribute(text: str) -> Markup:
    """Return text for an HTML attribute in double quotes, on one line, in either format."""
    return Markup(html_escape(one_line(str(text)), quote=True))


def address(url: str) -> Markup:
    """Return a checked address of the web for Markdown's `[label](address)`."""
    return Markup("".join(_IN_ADDRESS.get(character, character) for character in url))


def _entity(character: str) -> str:
    # GitHub splits a row at every pipe that it sees, and a backslash before it is one more thing to go wrong.
    return {"<": "&lt;", "&": "&amp;", "|": "&#124;"}.get(character, "\\" + character)


def _escape_start(match: re.Match[str]) -> str:
    start = match.group()
    return f"{start}\\" if start[0].isdigit() else f"\\{start}"


def _longer_than(text: str, least: int = 1) -> str:
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    return "`" * max(least, longest + 1)
