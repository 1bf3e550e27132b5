from __future__ import annotations

import pytest
from torch import nn

from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.analyzer.testing import assert_constraints


def network() -> nn.Module:
    """3*4*9 + 4 = 112 parameters, a field of 3 pixels."""
    return nn.Sequential(nn.Conv2d(3, 4, 3))


def test_a_network_that_meets_them_passes():
    assert_constraints(network(), ["params == 112", "rf == 3"], input_shape=(3, 8, 8))


def test_the_message_shows_every_verdict_with_margin_and_evidence():
    with pytest.raises(AssertionError) as caught:
        assert_constraints(network(), ["params < 1k", "rf > 5", "epochs < 3"])
    heading, titles, *rows = str(caught.value).splitlines()
    assert heading == "Sequential misses 2 of 3 constraints"
    assert titles.split() == ["constraint", "verdict", "measured", "margin", "evidence"]
    assert rows[0].split()[:6] == ["params", "<", "1k", "met", "112", "+888"]
    assert rows[1].split()[:7] == ["rf", ">", "5", "not", "met", "3", "-2"]
    assert "not measured" in rows[2]
    words = ["verdict", "met", "not", "not"]
    assert len({row.index(word) for row, word in zip([titles, *rows], words, strict=True)}) == 1


def test_no_constraints_hold_for_nothing():
    with pytest.raises(ValueError, match="no constraints"):
        assert_constraints(network(), [])


def test_what_cannot_be_judged_is_no_failed_assertion():
    with pytest.raises(UsageError):
        assert_constraints(network(), ["parms < 3"])
    with pytest.raises(ModelError):
        assert_constraints(network(), ["rf > 1"], input_shape=(5, 8, 8))
