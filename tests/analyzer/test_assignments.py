from __future__ import annotations

import re

import pytest

from cifar_report.analyzer.assignments import assignment_ids, load_assignment
from cifar_report.analyzer.errors import UsageError

GOOD = 'id = "mine"\ntitle = "Mine"\nconstraints = ["params < 5k"]\n'


def test_the_eight_built_in_assignments_are_there_and_readable():
    ids = {"eva5-s7", "eva6-s7", "eva6-s7-late", "era-s9", "era-s8", "era-s8-norms", "mnist-20k", "mnist-8k"}
    assert set(assignment_ids()) == ids
    for name in ids:
        assignment = load_assignment(name)
        assert assignment.id == name
        assert assignment.prose
        assert any(constraint.startswith("params < ") for constraint in assignment.constraints)


def test_the_late_assignment_is_stricter_than_the_first():
    late = set(load_assignment("eva6-s7-late").constraints)
    assert {"params < 100k", "rf > 52", "depthwise_separable >= 2", "fc_after_gap == 0"} <= late


def test_reads_a_users_own_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert load_assignment(str(path)).constraints == ("params < 5k",)


HEAD = 'id = "mine"\ntitle = "Mine"\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("id = ", "mine.toml is not valid TOML"),
        ("", "mine.toml lacks id, title, constraints"),
        (HEAD, "mine.toml lacks constraints"),
        ('id = "a"\n' + GOOD, "not valid TOML"),
        (GOOD + 'colour = "red"\n', "unknown key 'colour'"),
        (HEAD + 'constraint = ["rf > 3"]\n', "did you mean constraints?"),
        ('id = "mine"\ntitle = 3\nconstraints = ["rf > 3"]\n', "title in .* wrong type(.|\n)*3 [(]int[)]"),
        (HEAD + 'constraints = "rf > 3"\n', "constraints in .* wrong type(.|\n)*a list of texts"),
        (HEAD + 'constraints = ["rf > 3", 5]\n', "constraint 2 in .* wrong type(.|\n)*5 [(]int[)]"),
        (HEAD + "constraints = []\n", "constraints in .* is empty(.|\n)*every network would meet it"),
        (GOOD.replace('"mine"', '" "'), "id in .* is empty"),
        (HEAD + 'constraints = ["rf > 3", "gap == 1", "rf > 3"]\n', "constraint 3 in .* is there already"),
        (GOOD.replace("params", "parms"), "constraint 1 in .*: there is no metric 'parms'(.|\n)*params"),
        (GOOD.replace("< 5k", "less than 5k"), "constraint 1 in .*: can't read the constraint(.|\n)*\\^"),
        (b"\xff\xfe" + GOOD.encode("utf-16-le"), "mine.toml is not UTF-8(.|\n)*byte 0xff at 0"),
        (None, "there is no assignment .*mine.toml', and no such file"),
    ],
)
def test_says_what_is_wrong_in_a_file_with_exit_code_2(tmp_path, content, message):
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UsageError) as caught:
        load_assignment(str(path))
    assert re.search(message, str(caught.value)), str(caught.value)
    assert caught.value.exit_code == 2


def test_a_folder_is_no_assignment_and_files_near_a_missing_one_are_named(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        load_assignment(str(tmp_path))
    (tmp_path / "mine.toml").write_text(GOOD)
    with pytest.raises(UsageError) as caught:
        load_assignment(str(tmp_path / "mein.toml"))
    assert f"did you mean {tmp_path / 'mine.toml'}?" in caught.value.hint


def test_a_byte_order_mark_is_no_error(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8-sig")
    assert load_assignment(str(path)).id == "mine"


def test_names_assignments_near_a_misspelt_one():
    with pytest.raises(UsageError) as caught:
        load_assignment("eva6-s7-lat")
    assert "eva6-s7-late" in caught.value.hint
