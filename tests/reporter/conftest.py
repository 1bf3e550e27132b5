from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SYNTHETIC = runpy.run_path(str(Path(__file__).with_name("synthetic_run.py")))


@pytest.fixture(scope="session")
def synthetic() -> dict[str, Any]:
    """The names of synthetic_run.py: makers of a made-up run's parts."""
    return SYNTHETIC


@pytest.fixture
def write_run() -> Callable[..., Path]:
    """Write a made-up run folder."""
    maker: Callable[..., Path] = SYNTHETIC["write_run"]
    return maker


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A made-up run folder, complete."""
    folder: Path = SYNTHETIC["write_run"](tmp_path / "run")
    return folder
