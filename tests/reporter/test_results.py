from __future__ import annotations

import pytest

from cifar_report.reporter.results import wilson


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe 1998 (doi 10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E), table I, method 3.
    assert wilson(81, 263) == pytest.approx((25.53, 36.62), abs=0.005)
    assert wilson(0, 20) == pytest.approx((0.0, 16.11), abs=0.005)


def test_wilson_narrows_with_the_number_of_images() -> None:
    low, high = wilson(8_723, 10_000)
    assert low < 87.23 < high
    assert high - low < 1.4
