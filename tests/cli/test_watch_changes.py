"""What a watch says of two checks."""

from __future__ import annotations

import pytest

from cifar_report.analyzer.constraints import Verdict
from cifar_report.cli.watch_changes import changes


def verdict(text: str, state: str, measured: str | None) -> Verdict:
    return Verdict(text, "rf", state, "", measured, None, "")


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        (("met", "5"), ("met", "5"), None),
        (("met", "5"), ("met", "6"), "rf > 3: 5 → 6, still met"),
        (("met", "5"), ("not met", "3"), "rf > 3: met → not met, 5 → 3"),
        (("met", "5"), ("unknown", None), "rf > 3: met → unknown, 5 → no figure"),
        (("not measured", None), ("met", "5"), "rf > 3: not measured → met, no figure → 5"),
        (None, ("not measured", None), "rf > 3: new, not measured"),
        (("met", "5"), None, "rf > 3: no longer asked for"),
    ],
)
def test_each_way_in_which_a_verdict_changes_has_its_words(before, after, line):
    old = [verdict("rf > 3", *before)] if before else []
    new = [verdict("rf > 3", *after)] if after else []
    assert list(changes(old, new)) == ([] if line is None else [line])
