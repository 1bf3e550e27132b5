"""Folders that commands are tested in."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli import trainings


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a network, a data set of three colours, and nothing else."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(trainings.NETWORK)
    trainings.write_colours(tmp_path / "colours")
    return tmp_path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Return what writes a project's settings; the tests stand in a folder of it."""
    below = tmp_path / "src"
    below.mkdir()
    monkeypatch.chdir(below)

    def write(table: str) -> Path:
        path = tmp_path / "pyproject.toml"
        path.write_text(f"[tool.cifar-report]\n{table}\n")
        return path

    return write


@pytest.fixture
def convolution() -> str:
    """A file with a network of 224 parameters, whose class begins in line 5."""
    return """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)

    def forward(self, x):
        return self.conv(x)
"""
