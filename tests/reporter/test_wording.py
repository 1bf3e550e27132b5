from __future__ import annotations

import pytest

from cifar_report.analyzer.analysis import ReceptiveField
from cifar_report.reporter import wording


def test_counts_have_thousands_separators_and_unknown_is_named() -> None:
    assert wording.count(86_816) == "86,816"
    assert wording.count(0) == "0"
    assert wording.count(None) == "unknown"


def test_percentages_have_fixed_decimals_and_absent_ones_are_named() -> None:
    assert wording.percent(87.2) == "87.20 %"
    assert wording.percent(None) == "not measured"
    assert wording.percent(float("nan")) == "not measured"


@pytest.mark.parametrize(
    ("seconds", "text"), [(4.2, "4.2 s"), (125.0, "2 min 05 s"), (3720.0, "1 h 02 min"), (59.99, "60.0 s")]
)
def test_durations_are_in_the_unit_that_people_would_use(seconds: float, text: str) -> None:
    assert wording.duration(seconds) == text


def test_a_field_is_one_figure_when_square_and_two_when_not() -> None:
    assert wording.field_size(ReceptiveField("local", (67, 67))) == "67"
    assert wording.field_size(ReceptiveField("local", (67, 31))) == "67 \N{MULTIPLICATION SIGN} 31"
    assert wording.field_size(ReceptiveField("global")) == "global"
    assert wording.field_size(ReceptiveField("unknown", cause="foo")) == "unknown"
    assert wording.field_size(ReceptiveField("local", (9, 9), uniform=False)) == "9 (largest)"
    assert wording.field_pixels(ReceptiveField("local", (9, 9), uniform=False)) == "9 px (largest)"
    assert wording.field_pixels(ReceptiveField("global")) == "global"


def test_an_unknown_field_names_the_operator_to_blame() -> None:
    assert (
        wording.field_sentence(ReceptiveField("unknown", cause="grid_sample"))
        == "unknown (caused by grid_sample)"
    )


def test_names_lose_line_breaks_controls_and_changes_of_direction() -> None:
    assert wording.one_line("cat\n\t dog\x00\u202egod\u2069") == "cat doggod"


def test_right_to_left_letters_themselves_stay() -> None:
    assert wording.one_line("חתול 🐱") == "חתול 🐱"


def test_nested_settings_are_flattened_and_empty_ones_are_none() -> None:
    rows = wording.flat({"a": {"b": 1, "c": []}, "d": None, "e": True, "f": [0.1, 2]})
    assert rows == [("a.b", "1"), ("a.c", "none"), ("d", "none"), ("e", "yes"), ("f", "(0.1, 2)")]
