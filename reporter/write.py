"""A run folder into a report: README.md, report.html and their figures, or other formats."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cifar_report.analyzer.errors import UsageError
from cifar_report.reporter import figures, formats, render
from cifar_report.reporter.author import Author
from cifar_report.reporter.document import Document, compose
from cifar_report.reporter.facts import Facts, gather
from cifar_report.reporter.page import Embedding, pane
from cifar_report.reporter.pdf import print_pdf
from cifar_report.reporter.sections import SECTIONS, Section

README = "README.md"
HTML = "report.html"
FILES = {
    "markdown": README,
    "html": HTML,
    "latex": "report.tex",
    "pdf": "report.pdf",
    "json": "report.json",
    "csv": "tables",
}
"""What a format is written as; CSV is a folder with a file for every table."""
MARK = "Written by cifar-report"
"""In every report, so that a new one replaces only reports."""
_MARKS = {"report.pdf": "Chromium"}
"""What stands in a file of ours that says it in another way."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a user wants of a report."""

    formats: tuple[str, ...] = ("markdown", "html")
    """Some of `FILES`."""
    sections: tuple[Section, ...] = SECTIONS
    author: Author | None = None
    templates: Path | None = None
    """A folder with templates of the user's."""
    inline: bool = False
    """README.md without pictures."""
    front_matter: bool = False
    """README.md begins with a model card's."""


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Where a report lies."""

    folder: Path
    files: tuple[Path, ...]
    """One for each format, a folder for CSV."""

    @property
    def readme(self) -> Path:
        """Where README.md lies."""
        return self.folder / README

    @property
    def html(self) -> Path:
        """Where report.html lies."""
        return self.folder / HTML


def write_report(run: Path, out: Path | None = None, wishes: Wishes = Wishes()) -> ReportPaths:
    """Write the report of a run folder, into that folder or into `out`; all of it or nothing.

    Raises:
        UsageError: not a run folder, facts that contradict each other, a template that can't be used, an
            output folder that can't be written or that holds a file of these names which isn't one of ours.
    """
    facts = gather(run)
    target = run if out is None else out
    document = compose(facts, version("cifar-report"), author=wishes.author, sections=wishes.sections)
    names = tuple(FILES[form] for form in wishes.formats)
    with place_files(target, names) as workshop:
        _write_all(facts, document, wishes, workshop)
    return ReportPaths(target, tuple(target / name for name in names))


@contextmanager
def place_files(target: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """Yield a folder to write files and figures into, which are put in place afterwards.

    Raises:
        UsageError: the target can't be written, or holds a file of these names which isn't one of ours.
    """
    with _writable(target), _workshop(target) as workshop:
        _refuse_strangers(target, names)
        yield workshop
        _move(workshop, target, names)


def _write_all(facts: Facts, document: Document, wishes: Wishes, workshop: Path) -> None:
    """Write every format that is wanted into a folder."""
    wanted, templates = set(wishes.formats), wishes.templates
    plain = wanted <= {"json", "csv"} or (wanted <= {"markdown", "json", "csv"} and wishes.inline)
    (workshop / figures.FOLDER).mkdir(exist_ok=True)
    with ThreadPoolExecutor() as threads:
        embedding = Embedding(workshop, threads)
        begin = embedding.begin if wanted & {"html", "pdf"} else None
        pictures = (
            figures.name_all(facts)
            if plain
            else figures.draw_all(facts, workshop, latex="latex" in wanted, drawn=begin)
        )
        if "markdown" in wanted:
            head = formats.front_matter(facts, document) if wishes.front_matter else ""
            text = render.readme(document, pictures, inline=wishes.inline, templates=templates)
            (workshop / README).write_text(head + text, encoding="utf-8")
        if begin:
            page = render.html(document, pictures, embedding, pane(facts), templates=templates)
            (workshop / HTML).write_text(page, encoding="utf-8")
    if "pdf" in wanted:
        print_pdf(workshop / HTML, workshop / FILES["pdf"])
    if "latex" in wanted:
        text = render.latex(document, pictures, templates=templates)
        (workshop / FILES["latex"]).write_text(text, encoding="utf-8")
    if "json" in wanted:
        (workshop / FILES["json"]).write_text(formats.as_json(document), encoding="utf-8")
    if "csv" in wanted:
        (workshop / FILES["csv"]).mkdir()
        for name, table in formats.tables(document):
            (workshop / FILES["csv"] / f"{name}.csv").write_text(formats.as_csv(table), encoding="utf-8")


def _refuse_strangers(target: Path, names: tuple[str, ...]) -> None:
    for name in names:
        path = target / name
        if name == FILES["csv"]:
            continue
        mark = _MARKS.get(name, MARK).encode()
        if path.is_dir() or (path.is_file() and mark not in path.read_bytes()):
            raise UsageError(
                f"{path} would be overwritten",
                expected="a folder without one, or with one that cifar-report wrote",
                found=f"{name} from somewhere else",
                hint="choose another folder with --out",
            )


@contextmanager
def _writable(target: Path) -> Iterator[None]:
    """Say which folder can't be written; folders made for nothing are removed again."""
    missing = [folder for folder in (target, *target.parents) if not folder.exists()]
    try:
        target.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException as error:
        for folder in missing:
            with suppress(OSError):
                folder.rmdir()
        if not isinstance(error, OSError):
            raise
        raise UsageError(
            f"cannot write the report into {target}",
            found=error.strerror or str(error),
            hint="name a folder that you may write to with --out",
        ) from error


@contextmanager
def _workshop(target: Path) -> Iterator[Path]:
    """Yield a folder on the same disk, so that moving a file from it is one step; it is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix=".report-", dir=target))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move(workshop: Path, target: Path, names: tuple[str, ...]) -> None:
    """Put finished files in place, pictures first, and remove pictures of ours that this report lacks."""
    shelf = target / figures.FOLDER
    finished = sorted((workshop / figures.FOLDER).iterdir())
    if finished:
        shelf.mkdir(exist_ok=True)
    for path in finished:
        path.replace(shelf / path.name)
    for name in names:
        if name == FILES["csv"]:
            (target / name).mkdir(exist_ok=True)
            for path in (workshop / name).iterdir():
                path.replace(target / name / path.name)
        else:
            (workshop / name).replace(target / name)
    current = {path.name for path in finished}
    # A report without pictures leaves those of an earlier one, which still shows them.
    for path in shelf.iterdir() if current else ():
        if path.stem.rpartition("-")[0] in figures.KEYS and path.name not in current:
            path.unlink()
