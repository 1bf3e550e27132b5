"""Whole reports of the made-up run, word by word; `--overwrite` writes them anew, for review."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from cifar_report.reporter.author import read_author
from cifar_report.reporter.comparison import write_comparison
from cifar_report.reporter.write import Wishes, write_report

GOLDEN = Path(__file__).with_name("golden")
AUTHOR = {"name": "Ada Lovelace", "batch": "ERA V3", "links": {"GitHub": "https://github.com/ada"}}


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory, synthetic: dict[str, Any]) -> dict[str, str]:
    """Every golden file's text as it is today, without this program's version."""
    folder = tmp_path_factory.mktemp("golden")
    run, stopped = synthetic["write_run"](folder / "run"), synthetic["write_run"](folder / "stopped", done=2)
    author = read_author(AUTHOR)
    paths = {
        "README.md": write_report(run, folder / "a", Wishes(("markdown", "latex"), author=author)).readme,
        "report.tex": folder / "a" / "report.tex",
        "inline.md": write_report(run, folder / "b", Wishes(("markdown",), inline=True)).readme,
        "stopped.md": write_report(stopped, folder / "c", Wishes(("markdown",))).readme,
        "comparison.md": write_comparison([run, stopped], folder / "d")[0],
    }
    ours = f"cifar-report {version('cifar-report')}"
    return {
        name: path.read_text(encoding="utf-8").replace(ours, "cifar-report VERSION")
        for name, path in paths.items()
    }


@pytest.mark.parametrize("name", ["README.md", "report.tex", "inline.md", "stopped.md", "comparison.md"])
def test_a_report_reads_as_it_was_last_reviewed(reports: dict[str, str], name: str, overwrite: bool) -> None:
    path = GOLDEN / name
    if overwrite:
        path.parent.mkdir(exist_ok=True)
        path.write_text(reports[name], encoding="utf-8")
    assert reports[name] == path.read_text(encoding="utf-8")


def test_golden_files_hold_no_path_of_a_machine(reports: dict[str, str]) -> None:
    assert not [name for name, text in reports.items() if "/tmp/" in text or str(Path.home()) in text]
    assert json.dumps(sorted(reports)) == json.dumps(sorted(path.name for path in GOLDEN.iterdir()))
