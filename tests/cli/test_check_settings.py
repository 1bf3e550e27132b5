"""Settings of a project for `check`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest

from tests.cli.program import call

run = partial(call, "check")


def test_a_projects_settings_name_network_input_and_constraints_and_it_is_said(project):
    path = project('model = "document_003"\ninput = "3,48,48"\nrequire = ["params < 100k", "rf >= 68"]')
    result = run("--format", "json")
    data = json.loads(result.stdout)
    assert [verdict["constraint"] for verdict in data["verdicts"]] == ["params < 100k", "rf >= 68"]
    assert data["input_shape"] == [3, 48, 48]
    assert result.stderr.count(str(path)) == 3


def test_the_command_line_goes_before_the_settings(project):
    project('model = "no such"\ninput = "1,2"\nrequire = ["params < 1"]')
    result = run("document_003", "--input", "3,32,32", "--max-params", "100k")
    assert result.exit_code == 0
    assert "pyproject" not in result.stderr


def test_the_nearest_file_with_the_table_counts(project):
    project('require = ["params < 1"]')
    Path("pyproject.toml").write_text("[project]\nname = 'mine'\n")
    assert run("document_003").exit_code == 1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ('requires = ["rf > 3"]', "unknown key 'requires'"),
        ('require = "rf > 3"', "require of [tool.cifar-report] in "),
        ("require = [3]", "3 (int)"),
        ("model = 3", "expected: a text"),
        ("require = [", "can't read"),
        ('require = ["parms < 3"]', "there is no metric 'parms'"),
        ("", "there is nothing to check"),
    ],
)
def test_wrong_settings_say_what_and_where(project, table, message):
    project(table)
    result = run("document_003")
    assert result.exit_code == 2
    assert message in result.stderr


def test_without_a_network_the_settings_are_named(project):
    project('require = ["rf > 3"]')
    result = run()
    assert result.exit_code == 2
    assert "there is no network to check" in result.stderr
