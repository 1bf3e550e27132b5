"""Who hands a report in: the table `[tool.cifar-report.author]` of a project's pyproject.toml.

[tool.cifar-report.author]
name = "Ada Lovelace"
batch = "ERA V3, batch 2"
links = { GitHub = "https://github.com/ada" }
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from cifar_report.analyzer.errors import UsageError, refuse_unknown_keys
from cifar_report.reporter.wording import one_line

TABLE = "[tool.cifar-report.author]"
_KEYS = ("name", "batch", "links")


@dataclass(frozen=True, slots=True)
class Link:
    """An address that a reader may follow."""

    label: str
    url: str
    """Of http or https, with everything quoted that could end it."""


@dataclass(frozen=True, slots=True)
class Author:
    """A student's header. What wasn't given is empty."""

    name: str
    batch: str
    links: tuple[Link, ...]


def read_author(table: Any) -> Author:
    """Return what the table says.

    Raises:
        UsageError: no table, an unknown key, a value that isn't text, or a link that isn't of the web.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{TABLE} is no table", expected='such as name = "Ada"', found=repr(table))
    refuse_unknown_keys(table, _KEYS, TABLE)
    links = table.get("links", {})
    if not isinstance(links, dict):
        raise UsageError(
            f"links of {TABLE} is no table",
            expected='links = { GitHub = "https://github.com/ada" }',
            found=repr(links),
        )
    return Author(
        name=_text("name", table.get("name", "")),
        batch=_text("batch", table.get("batch", "")),
        links=tuple(Link(one_line(label), _address(label, url)) for label, url in links.items()),
    )


def _text(key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{key} of {TABLE} is no text", expected="a text", found=repr(value))
    return one_line(value)


def _address(label: str, value: Any) -> str:
    """Return an address in which no character means anything to Markdown, HTML or LaTeX but `%`, `&`, `_`."""
    text = _text(f"the link {label!r}", value)
    try:
        parts = urlsplit(text)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(
            f"the link {label!r} of {TABLE} is none of the web",
            expected="an address that starts with https://",
            found=repr(value),
        )
    return quote(text, safe=":/?#@!$&+,;=-._~%")
