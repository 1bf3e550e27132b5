"""A fixture that pytest finds by itself: `def test(assert_constraints): assert_constraints(Net(), [...])`.

pytest loads this file in every suite of an environment that has cifar-report, so nothing else is imported
until a test asks for the fixture. A suite that has a fixture of the same name keeps its own.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest


@pytest.fixture(scope="session")
def assert_constraints() -> Callable[..., None]:
    """Hold a network against constraints: `assert_constraints(network, ["params < 100k", "rf > 52"])`."""
    from cifar_report.analyzer import testing

    return testing.assert_constraints
