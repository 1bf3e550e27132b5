"""Where commands that train are tested."""

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
