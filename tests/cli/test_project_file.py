"""Which pyproject.toml counts for whom: the nearest with a table for `check`, with an author for reports."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.author_settings import find_author
from cifar_report.cli.project_file import project_tables
from cifar_report.cli.verdict_settings import read_settings

AUTHOR = '[tool.cifar-report.author]\nname = "Ada"\n'


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """A project, and a folder two levels below."""
    below = tmp_path / "course" / "week"
    below.mkdir(parents=True)
    return tmp_path, below


def test_an_author_above_counts_where_the_nearer_file_has_none(folders: tuple[Path, Path]) -> None:
    top, below = folders
    (top / "pyproject.toml").write_text(AUTHOR)
    (below / "pyproject.toml").write_text('[tool.cifar-report]\nmodel = "model.py"\n')
    author = find_author(below)
    assert author is not None
    assert author.name == "Ada"
    assert read_settings(below).model == "model.py"


def test_nothing_is_read_beyond_the_file_that_counts(folders: tuple[Path, Path]) -> None:
    top, below = folders
    (top / "pyproject.toml").write_text("no TOML [")
    (below / "pyproject.toml").write_text(AUTHOR)
    assert find_author(below) is not None
    assert read_settings(below).source == str(below / "pyproject.toml")


@pytest.mark.parametrize("text", ["", "tool = 3\n", "[tool.other]\nx = 1\n"])
def test_a_file_without_the_table_is_passed_over(folders: tuple[Path, Path], text: str) -> None:
    top, below = folders
    (top / "pyproject.toml").write_text("[tool.cifar-report]\n")
    (below / "pyproject.toml").write_text(text)
    path, table = next(project_tables(below))
    assert (path, table) == (top / "pyproject.toml", {})


@pytest.mark.parametrize("content", [b"no TOML [", b'name = "\xff"\n'])
def test_a_file_that_is_not_toml_stops_both(folders: tuple[Path, Path], content: bytes) -> None:
    _, below = folders
    path = below / "pyproject.toml"
    path.write_bytes(content)
    for read in (find_author, read_settings):
        with pytest.raises(UsageError, match="can't read") as caught:
            read(below)
        assert str(path) in str(caught.value)
