"""Templates filled with a document: Markdown for GitHub, or one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from cifar_report.reporter import escape
from cifar_report.reporter.document import Document
from cifar_report.reporter.figures import Picture

_MEDIA_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class Source:
    """A picture as a template shows it: two addresses, relative or data."""

    alt: str
    caption: str
    light: str
    dark: str


def readme(document: Document, pictures: Mapping[str, Picture | None]) -> str:
    """Return README.md; pictures are files beside it."""
    sources = {key: _relative(picture) if picture else None for key, picture in pictures.items()}
    return _render("report.md.j2", document, sources)


def html(document: Document, pictures: Mapping[str, Picture | None], folder: Path) -> str:
    """Return report.html with every picture inside, read from beneath `folder`."""
    sources = {key: _embedded(picture, folder) if picture else None for key, picture in pictures.items()}
    return _render("report.html.j2", document, sources)


def escapes(template: str | None) -> bool:
    """Tell Jinja to escape in a template; it must be one of the two formats, since nothing else is known.

    Jinja's own `select_autoescape()` would leave `report.html.j2` unescaped. A style
    sheet has nothing to escape.

    Raises:
        ValueError: another kind of template.
    """
    if template is not None and template.endswith((".md.j2", ".html.j2")):
        return True
    if template is not None and template.endswith(".css"):
        return False
    raise ValueError(f"no escaping is known for template {template!r}")


@pass_context
def finish(context: Context, value: Any) -> Any:
    """Escape for Markdown before Jinja escapes for HTML, which leaves what is `Markup` alone."""
    if isinstance(value, Markup) or not str(context.name).endswith(".md.j2"):
        return value
    return escape.markdown(str(value))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("cifar_report.templates", ""),
        undefined=StrictUndefined,
        autoescape=escapes,
        finalize=finish,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(
        {
            "code": escape.code,
            "fenced": escape.fenced,
            "attribute": escape.attribute,
            "markdown": escape.markdown,
        }
    )
    return environment


def _render(template: str, document: Document, sources: Mapping[str, Source | None]) -> str:
    return _environment().get_template(template).render(document=document, pictures=sources)


def _relative(picture: Picture) -> Source:
    return Source(picture.alt, picture.caption, picture.light.as_posix(), picture.dark.as_posix())


def _embedded(picture: Picture, folder: Path) -> Source:
    light, dark = (_data_uri(folder / path) for path in (picture.light, picture.dark))
    return Source(picture.alt, picture.caption, light, dark)


def _data_uri(path: Path) -> str:
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"data:{_MEDIA_TYPES[path.suffix]};base64,{content}"
