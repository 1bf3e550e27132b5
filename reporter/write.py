"""A run folder into README.md, report.html and their figures."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from cifar_report.analyzer.errors import UsageError
from cifar_report.reporter import figures, render
from cifar_report.reporter.document import compose
from cifar_report.reporter.facts import gather

README = "README.md"
HTML = "report.html"
MARK = "Written by cifar-report"
"""In every report, so that a new one replaces only reports."""


@dataclass(frozen=True, slots=True)
class ReportPaths:
    """Where a report lies."""

    readme: Path
    html: Path


def write_report(run: Path, out: Path | None = None) -> ReportPaths:
    """Write the report of a run folder, into that folder or into `out`; all of it or nothing.

    Raises:
        UsageError: not a run folder, facts that contradict each other, an output folder that can't be
            written or that holds a README.md or report.html which isn't one of ours.
    """
    facts = gather(run)
    target = run if out is None else out
    document = compose(facts, version("cifar-report"))
    with _writable(target), _workshop(target) as workshop:
        _refuse_strangers(target)
        pictures = figures.draw_all(facts, workshop)
        (workshop / README).write_text(render.readme(document, pictures), encoding="utf-8")
        (workshop / HTML).write_text(render.html(document, pictures, workshop), encoding="utf-8")
        _move(workshop, target)
    return ReportPaths(readme=target / README, html=target / HTML)


def _refuse_strangers(target: Path) -> None:
    for name in (README, HTML):
        path = target / name
        if path.is_dir() or (
            path.is_file() and MARK not in path.read_text(encoding="utf-8", errors="replace")
        ):
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


def _move(workshop: Path, target: Path) -> None:
    """Put finished files in place, pictures first, and remove pictures of ours that this report lacks."""
    shelf = target / figures.FOLDER
    shelf.mkdir(exist_ok=True)
    finished = sorted((workshop / figures.FOLDER).iterdir())
    for path in finished:
        path.replace(shelf / path.name)
    for name in (README, HTML):
        (workshop / name).replace(target / name)
    current = {path.name for path in finished}
    for path in shelf.iterdir():
        if path.stem.rpartition("-")[0] in figures.KEYS and path.name not in current:
            path.unlink()
