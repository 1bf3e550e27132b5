from __future__ import annotations

import json
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SYNTHETIC = runpy.run_path(str(Path(__file__).with_name("synthetic_run.py")))


@pytest.fixture(scope="module")
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


@pytest.fixture
def edit() -> Callable[..., None]:
    """Change fields of a JSON file; with `replace`, leave only those."""

    def change(path: Path, *, replace: bool = False, **fields: Any) -> None:
        data = {} if replace else json.loads(path.read_text(encoding="utf-8"))
        path.write_text(json.dumps({**data, **fields}), encoding="utf-8")

    return change
