"""A folder to load networks from."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.analyzer.loading import Write


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a file into an empty current folder and return the name it is loaded by."""
    monkeypatch.chdir(tmp_path)

    def writer(text: str, name: str = "model.py") -> str:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return name

    return writer
