"""Which images `check` takes a network to be for, where nobody says it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import call

GRAY = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(1, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 10))
"""


def shape(*arguments: str) -> list[int]:
    """Return the image that a check was made for."""
    result = call("check", *arguments, "--format", "json")
    assert result.exit_code in (0, 1, 4), result.output
    found: list[int] = json.loads(result.stdout)["input_shape"]
    return found


def test_a_built_in_network_is_for_the_images_it_was_made_for() -> None:
    assert shape("mnist_8k", "--max-params", "8k") == [1, 28, 28]
    assert shape("document_003", "--max-params", "100k") == [3, 32, 32]


def test_an_assignment_about_mnist_means_its_images(tmp_path: Path) -> None:
    file = tmp_path / "gray.py"
    file.write_text(GRAY)
    assert shape(str(file), "--assignment", "mnist-8k") == [1, 28, 28]


def test_what_is_said_counts_more_than_what_is_known(tmp_path: Path) -> None:
    file = tmp_path / "gray.py"
    file.write_text(GRAY)
    assert shape(str(file), "--assignment", "mnist-8k", "--input", "1,40,40") == [1, 40, 40]
    assert shape("mnist_8k", "--max-params", "8k", "--input", "1,32,32") == [1, 32, 32]


def test_settings_count_more_than_the_assignment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gray.py").write_text(GRAY)
    (tmp_path / "pyproject.toml").write_text(
        '[tool.cifar-report]\nmodel = "gray.py"\nassignment = "mnist-8k"\ninput = "1,36,36"\n'
    )
    monkeypatch.chdir(tmp_path)
    assert shape() == [1, 36, 36]
    (tmp_path / "pyproject.toml").write_text(
        '[tool.cifar-report]\nmodel = "gray.py"\nassignment = "mnist-8k"\n'
    )
    assert shape() == [1, 28, 28]
