from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tests.cli.program import call

SYNTHETIC = Path(__file__).parents[1] / "reporter" / "synthetic_run.py"


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A made-up run folder."""
    folder: Path = runpy.run_path(str(SYNTHETIC))["write_run"](tmp_path_factory.mktemp("cli") / "run")
    return folder


def test_both_paths_are_printed_and_nothing_else(run_folder: Path, tmp_path: Path) -> None:
    result = call("report", str(run_folder), "--out", str(tmp_path / "out"))
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        str(tmp_path / "out" / name) for name in ("README.md", "report.html")
    ]
    assert result.stderr == ""
    assert all(Path(line).is_file() for line in result.stdout.splitlines())


def test_without_out_the_run_folder_itself_gets_the_report(run_folder: Path) -> None:
    result = call("report", str(run_folder))
    assert result.exit_code == 0, result.stderr
    assert (run_folder / "report.html").is_file()


def test_a_missing_run_is_one_message_and_exit_code_2(tmp_path: Path) -> None:
    result = call("report", str(tmp_path / "nowhere"))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "there is no run folder" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_folder_that_cannot_be_written_is_one_message_and_exit_code_2(
    run_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    result = call("report", str(run_folder), "--out", str(tmp_path / "file"))
    assert result.exit_code == 2
    assert "cannot write the report" in result.stderr


def test_help_shows_an_example() -> None:
    result = call("report", "--help")
    assert result.exit_code == 0
    assert "cifar-report report runs/digits --out reports/digits" in result.stdout
