from __future__ import annotations

import re
import tomllib
from functools import partial
from pathlib import Path

import pytest

from cifar_report.analyzer.assignments import assignment_ids, load_assignment
from cifar_report.analyzer.constraints import parse_constraint
from tests.cli.program import call

run = partial(call, "assignments")


@pytest.mark.parametrize("name", assignment_ids())
def test_toml_of_an_assignment_is_a_file_that_reads_back_as_it(name, tmp_path):
    path = tmp_path / "copy.toml"
    assert run("show", name, "--format", "toml", "-o", str(path)).exit_code == 0
    assert load_assignment(str(path)) == load_assignment(name)
    assert run("show", str(path), "--format", "toml").stdout == path.read_text()


def test_a_new_file_is_an_assignment_that_a_network_can_be_checked_by(tmp_path):
    path = tmp_path / "mine.toml"
    assert run("new", str(path)).exit_code == 0
    assert load_assignment(str(path)).id == "mine"
    result = call("check", "document_003", "--assignment", str(path))
    assert result.exit_code == 0


def test_every_constraint_that_a_new_file_suggests_can_be_read(tmp_path):
    path = tmp_path / 'my "own".toml'
    run("new", str(path))
    text = re.sub(r'^    # (?=")', "    ", path.read_text(), flags=re.MULTILINE)
    data = tomllib.loads(text)
    assert data["id"] == 'my "own"'
    assert len(data["constraints"]) == 16
    for constraint in data["constraints"]:
        assert parse_constraint(constraint).text == constraint


def test_a_new_file_replaces_none(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("mine")
    result = run("new", str(path))
    assert result.exit_code == 2
    assert "is there already" in result.stderr
    assert path.read_text() == "mine"


def test_a_new_file_in_no_folder_is_a_clear_error(tmp_path):
    result = run("new", str(Path(tmp_path) / "no" / "mine.toml"))
    assert result.exit_code == 2
    assert "can't write" in result.stderr
