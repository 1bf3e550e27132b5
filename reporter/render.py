"""Templates filled with a document: Markdown for GitHub, one self-contained HTML file, or LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    TemplateError,
    pass_context,
)
from jinja2.runtime import Context
from markupsafe import Markup

from cifar_report.analyzer.errors import UsageError
from cifar_report.reporter import escape
from cifar_report.reporter import latex as tex
from cifar_report.reporter.comparison_words import Comparison
from cifar_report.reporter.document import Document
from cifar_report.reporter.figures import Picture
from cifar_report.reporter.page import Pane, policy


@dataclass(frozen=True, slots=True)
class Source:
    """A picture as a template shows it: two addresses, relative or data."""

    alt: str
    caption: str
    light: str
    dark: str
    plot: str = ""
    """The same in characters, where there is such a thing."""
    print: str = ""
    """Address of a variant for paper: light, and PDF where it isn't made of pixels."""


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
    embed: Callable[[Path], str],
    pane: Pane | None = None,
    *,
    templates: Path | None = None,
) -> str:
    """Return report.html with every picture inside, as `embed` gives its file, and `pane` to point at."""
    sources = {key: _embedded(picture, embed) if picture else None for key, picture in pictures.items()}
    script, _, _ = _loader(templates).get_source(_environment(templates), "report.js")
    return _render(
        "report.html.j2",
        templates,
        document=document,
        pictures=sources,
        pane=pane,
        policy=policy(script),
        script=Markup(script),
    )


def latex(
    document: Document, pictures: Mapping[str, Picture | None], *, templates: Path | None = None
) -> str:
    """Return report.tex; pictures are files beside it, PDF where they aren't made of pixels."""
    sources = {key: _relative(picture) if picture else None for key, picture in pictures.items()}
    values = {"document": document, "pictures": sources}
    # Which characters pdfLaTeX has to be told of is known when the text is there.
    text = _render("report.tex.j2", templates, **values, exotic=())
    return _render("report.tex.j2", templates, **values, exotic=tex.exotic(text))


def comparison(words: Comparison, picture: Picture | None, *, templates: Path | None = None) -> str:
    """Return the README.md that compares runs."""
    curves = _relative(picture) if picture else None
    return _render("comparison.md.j2", templates, document=words, curves=curves)


def comparison_page(
    words: Comparison,
    picture: Picture | None,
    embed: Callable[[Path], str],
    *,
    templates: Path | None = None,
) -> str:
    """Return the report.html that compares runs; `embed` as in `html`."""
    curves = _embedded(picture, embed) if picture else None
    return _render("comparison.html.j2", templates, document=words, curves=curves)


def escapes(template: str | None) -> bool:
    """Tell Jinja to escape in a template; it must be one of the three formats, since nothing else is known.

    Jinja's own `select_autoescape()` would leave `report.html.j2` unescaped. A style
    sheet has nothing to escape.

    Raises:
        ValueError: another kind of template.
    """
    if template is not None and template.endswith((".md.j2", ".html.j2", ".tex.j2")):
        return True
    if template is not None and template.endswith(".css"):
        return False
    raise ValueError(f"no escaping is known for template {template!r}")


@pass_context
def finish(context: Context, value: Any) -> Any:
    """Escape for Markdown or LaTeX before Jinja escapes for HTML, which leaves what is `Markup` alone."""
    name = str(context.name)
    if isinstance(value, Markup) or not name.endswith((".md.j2", ".tex.j2")):
        return value
    return escape.markdown(str(value)) if name.endswith(".md.j2") else tex.latex(str(value))


def _loader(templates: Path | None) -> ChoiceLoader:
    ours = PackageLoader("cifar_report.templates", "")
    theirs = [FileSystemLoader(templates)] if templates else []
    # A user's template extends the one of the same name that it hides under this prefix.
    return ChoiceLoader([*theirs, ours, PrefixLoader({"cifar-report": ours})])


@lru_cache(maxsize=4)
def _environment(templates: Path | None) -> Environment:
    environment = Environment(
        loader=_loader(templates),
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
            "address": escape.address,
            "attribute": escape.attribute,
            "markdown": escape.markdown,
        }
    )
    return environment


@lru_cache(maxsize=4)
def _latex_environment(templates: Path | None) -> Environment:
    """Return the same with other brackets, since LaTeX uses braces itself."""
    environment = _environment(templates).overlay(
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    environment.filters.update(
        {"columns": tex.columns, "link": tex.link, "listing": tex.listing, "path": Markup}
    )
    return environment


def _render(template: str, templates: Path | None, **values: Any) -> str:
    environment = _latex_environment if template.endswith(".tex.j2") else _environment
    if templates is None:
        return environment(None).get_template(template).render(**values)
    try:
        return environment(templates).get_template(template).render(**values)
    except TemplateError as error:
        place = getattr(error, "name", None) or template
        line = getattr(error, "lineno", None)
        raise UsageError(
            f"template {place} can't be used with --template-dir {templates}",
            found=f"line {line}: {error}" if line else str(error),
            hint='extend "cifar-report/' + template + '" and replace some of its blocks',
        ) from error


def _relative(picture: Picture) -> Source:
    light, dark = picture.light.as_posix(), picture.dark.as_posix()
    paper = picture.light.with_suffix(".pdf") if picture.light.suffix == ".svg" else picture.light
    return Source(picture.alt, picture.caption, light, dark, picture.plot, paper.as_posix())


def _embedded(picture: Picture, embed: Callable[[Path], str]) -> Source:
    light, dark = embed(picture.light), embed(picture.dark)
    return Source(picture.alt, picture.caption, light, dark)
