"""The reports that ship are what `cifar-report report` writes today from the runs beside them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cifar_report.reporter.sections import SECTIONS
from cifar_report.reporter.write import write_report
from cifar_report.trainer.run import read_run

FOLDER = Path(__file__).parent.parent / "sample_reports"
SAMPLES = sorted(path.parent for path in FOLDER.glob("*/config.json"))


def test_all_samples_are_there_and_named_with_their_commands():
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert {sample.name for sample in SAMPLES} == {"cifar10", "digits", "flagship", "mnist"}
    for sample in SAMPLES:
        assert f"--out sample_reports/{sample.name}" in text


def test_every_place_that_the_table_of_sections_names_is_in_a_report():
    text = (FOLDER / "README.md").read_text(encoding="utf-8").split("## Where to find")[1]
    places = [line.split("|")[2].strip() for line in text.splitlines() if line.startswith("|")][2:]
    assert len(places) == 16
    titles = {section.title for section in SECTIONS} | {"title", "key figures", "the author's links"}
    for place in places:
        assert any(place.startswith(title) for title in titles), place


def words(page: str) -> list[str]:
    """Return a page's lines without what libraries encode: its pictures."""
    return re.sub(r"data:image/[^\"' ]*", "", page).splitlines()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_readme_and_page_are_what_the_run_gives(sample: Path, tmp_path: Path, overwrite: bool):
    written = write_report(sample, sample if overwrite else tmp_path)
    shipped = (sample / "README.md").read_text(encoding="utf-8")
    assert written.readme.read_text(encoding="utf-8") == shipped
    page = (written.readme.parent / "report.html").read_text(encoding="utf-8")
    assert words(page) == words((sample / "report.html").read_text(encoding="utf-8"))
    pictures = {path.name for path in (sample / "figures").iterdir()}
    assert {path.name for path in (written.readme.parent / "figures").iterdir()} == pictures


def test_the_cifar10_sample_evaluated_every_test_image():
    run = read_run(FOLDER / "cifar10")
    assert run.metrics is not None
    assert run.metrics.count == 10_000
    assert [entry.test_count for entry in run.history] == [10_000, 10_000]
    assert [entry.train_count for entry in run.history] == [50_000, 50_000]
