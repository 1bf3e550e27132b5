from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from cifar_report.analyzer.errors import UsageError
from cifar_report.reporter import figures, render
from cifar_report.reporter.document import compose
from cifar_report.reporter.facts import gather
from cifar_report.reporter.write import write_report


def listing(folder: Path) -> dict[str, bytes]:
    """Return every file beneath a folder and its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def quick_run(write_run: Callable[..., Path], tmp_path: Path) -> Path:
    """A made-up run that was stopped after two epochs: a report of it has only two pictures."""
    return write_run(tmp_path / "run", done=2)


def test_the_report_lies_in_the_quick_run_unless_told_otherwise(quick_run: Path, tmp_path: Path) -> None:
    paths = write_report(quick_run)
    assert paths.readme == quick_run / "README.md"
    assert paths.html == quick_run / "report.html"
    before = listing(quick_run)
    out = tmp_path / "deep" / "er"
    write_report(quick_run, out)
    assert listing(quick_run) == before
    assert {path.name for path in out.iterdir()} == {"README.md", "report.html", "figures"}


def test_a_second_report_is_the_same_and_leaves_nothing_beside_it(quick_run: Path) -> None:
    write_report(quick_run)
    first = listing(quick_run)
    write_report(quick_run)
    assert listing(quick_run) == first


def test_pictures_of_an_earlier_report_that_are_gone_are_removed(quick_run: Path) -> None:
    write_report(quick_run)
    (quick_run / "figures" / "mine.png").write_bytes(b"mine")
    (quick_run / "history.jsonl").unlink()
    write_report(quick_run)
    names = {path.name for path in (quick_run / "figures").iterdir()}
    assert names == {
        "mine.png",
        *(f"receptive_field-{variant}.svg" for variant in ("light", "dark")),
        *(f"field_boxes-{variant}.png" for variant in ("light", "dark")),
    }


@pytest.mark.parametrize("name", ["README.md", "report.html"])
def test_a_readme_from_somewhere_else_is_not_overwritten(quick_run: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "project"
    out.mkdir()
    (out / name).write_text("# My project\n", encoding="utf-8")
    with pytest.raises(UsageError, match="would be overwritten"):
        write_report(quick_run, out)
    assert listing(out) == {name: b"# My project\n"}


def test_a_file_in_the_place_of_the_folder_is_a_usage_error(quick_run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    for out in (tmp_path / "file", tmp_path / "file" / "sub"):
        with pytest.raises(UsageError, match="cannot write the report"):
            write_report(quick_run, out)
    assert (tmp_path / "file").read_text(encoding="utf-8") == "x"


def test_a_failure_half_way_leaves_the_earlier_report_and_no_scraps(
    quick_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_report(quick_run)
    before = listing(quick_run)

    def full(*_: object, **__: object) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(render, "html", full)
    with pytest.raises(UsageError, match="cannot write the report") as caught:
        write_report(quick_run)
    assert caught.value.found == "No space left on device"
    assert listing(quick_run) == before


def test_folders_made_for_nothing_are_removed(quick_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(figures, "draw_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_report(quick_run, quick_run.parent / "new" / "folder")
    assert not (quick_run.parent / "new").exists()


def test_a_fact_that_a_template_lacks_is_an_error_not_a_blank(quick_run: Path) -> None:
    document = compose(gather(quick_run), "0")
    assert "Picture: " in render.readme(document, dict.fromkeys(figures.KEYS))
    with pytest.raises(UndefinedError, match="samples"):
        render.readme(document, {})


def test_templates_of_unknown_kinds_are_refused() -> None:
    assert render.escapes("report.html.j2")
    assert render.escapes("report.md.j2")
    assert render.escapes("report.tex.j2")
    with pytest.raises(ValueError, match=r"report\.rst\.j2"):
        render.escapes("report.rst.j2")


def test_a_report_of_sixty_epochs_is_small_and_quick(write_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", classes=tuple(f"kind {number}" for number in range(10)), epochs=60)
    start = time.process_time()
    paths = write_report(folder)
    assert time.process_time() - start < 8
    assert paths.html.stat().st_size < 3_000_000
