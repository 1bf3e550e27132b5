"""What all tests share: the same world on every machine, and `--overwrite` for golden files."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

# Before they are imported: albumentations asks the network for its newest version, matplotlib for a display.
os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ["MPLBACKEND"] = "Agg"
# A job started in the background ignores Ctrl-C and so do its children; what the tests start must not.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("COLUMNS", "NO_COLOR", "FORCE_COLOR", "CIFAR_REPORT_DEBUG"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what is cached apart from the user's own cache."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CIFAR_REPORT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a reviewed change of output be written down instead of compared."""
    parser.addoption(
        "--overwrite", action="store_true", help="write golden files anew instead of comparing them"
    )


@pytest.fixture
def overwrite(request: pytest.FixtureRequest) -> bool:
    """Tell whether golden files are to be written."""
    return bool(request.config.getoption("--overwrite"))
