"""Templates filled with a document: Markdown for GitHub, or one self-contained HTML file."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import (
    ChoiceLoader,
    Environment,
    FileSystemLoader,
    PackageLoader,
    PrefixLoader,
    StrictUndefined,
    pass_context,
)
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
    plot: str = ""
    """The same in characters, where there is such a thing."""


def readme(
    document: Document,
    pictures: Mapping[str, Picture | None],
    *,
    inline: bool = False,
    templates: Path | None = None,
) -> str:
    """Return README.md; pictures are files beside it.

    Args:
        document: what to say.
        pictures: by key; None where there is none.
        inline: put words and plots of characters in the place of pictures.
        templates: a folder with templates of the user's, which come first.
    """
    sources = {key: _relative(picture) if picture else None for key, picture in pictures.items()}
    return _render("report.md.j2", templates, document=document, pictures=sources, inline=inline)


def html(
    document: Document,
    pictures: Mapping[str, Picture | None],
    folder: Path,
    *,
    templates: Path | None = None,
) -> str:
    """Return report.html with every picture inside, read from beneath `folder`."""
    sources = {key: _embedded(picture, folder) if picture else None for key, picture in pictures.items()}
    return _render("report.html.j2", templates, document=document, pictures=sources)


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


@lru_cache(maxsize=4)
def _environment(templates: Path | None) -> Environment:
    ours = PackageLoader("cifar_report.templates", "")
    theirs = [FileSystemLoader(templates)] if templates else []
    environment = Environment(
        # A user's template extends the one of the same name that it hides under this prefix.
        loader=ChoiceLoader([*theirs, ours, PrefixLoader({"cifar-report": ours})]),
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


def _render(template: str, templates: Path | None, **values: Any) -> str:
    return _environment(templates).get_template(template).render(**values)


def _relative(picture: Picture) -> Source:
    return Source(
        picture.alt, picture.caption, picture.light.as_posix(), picture.dark.as_posix(), picture.plot
    )


def _embedded(picture: Picture, folder: Path) -> Source:
    light, dark = (_data_uri(folder / path) for path in (picture.light, picture.dark))
    return Source(picture.alt, picture.caption, light, dark)


def _data_uri(path: Path) -> str:
    content = base64.b64encode(path.read_bytes()).decode("ascii")
    return f"data:{_MEDIA_TYPES[path.suffix]};base64,{content}"
