"""`--weights`, and networks that are built without values until their forward asks for some."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from cifar_report.analyzer import analyze
from cifar_report.analyzer.errors import ModelError
from cifar_report.analyzer.load import load_model
from tests.cli.program import call

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Parameter(torch.empty(()).fill_(-1))
        self.small = nn.Conv2d(3, 1, 1)
        self.large = nn.Conv2d(3, 1, 3)

    def forward(self, x):
        import neighbour
        return self.large(x) if self.gate > 0 else self.small(x)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network whose path depends on a weight, in a file and in a repository that torch.hub has fetched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "home"))
    repository = tmp_path / "home" / "hub" / "someone_nets_main"
    repository.mkdir(parents=True)
    for place, name in ((tmp_path, "net.py"), (repository, "hubconf.py")):
        (place / name).write_text(NET)
        (place / "neighbour.py").write_text("")
    return tmp_path


def macs(*arguments: str) -> int:
    result = call("analyze", *arguments, "--format", "json", "--input", "3,8,8")
    assert result.exit_code == 0, result.stderr
    return int(json.loads(result.stdout)["totals"]["macs"])


def test_weights_decide_which_way_a_network_goes_that_asks_for_their_values() -> None:
    state = {"gate": torch.ones(()), "small.weight": torch.ones(1, 3, 1, 1), "small.bias": torch.ones(1)}
    state |= {"large.weight": torch.ones(1, 3, 3, 3), "large.bias": torch.ones(1)}
    torch.save({"state_dict": state}, "weights.pt")
    assert macs("net.py") == 3 * 64
    assert macs("net.py", "--weights", "weights.pt") == 27 * 36
    said = call("check", "net.py", "--max-params", "100", "--weights", "weights.pt")
    assert said.exit_code == 0
    assert "weights.pt: 5 tensors fit the network, taken from 'state_dict'" in said.stderr


def test_weights_that_do_not_fit_end_with_3_and_are_named() -> None:
    torch.save({"gate": torch.ones(2)}, "weights.pt")
    result = call("check", "net.py", "--max-params", "100", "--weights", "weights.pt")
    assert result.exit_code == 3
    assert "4 missing: small.weight, small.bias, large.weight, large.bias" in result.stderr
    assert "1 another shape: gate: file [2], network []" in result.stderr
    assert result.stdout == ""


def test_a_weights_file_that_is_none_is_wrong_usage(folder: Path) -> None:
    (folder / "weights.pt").write_text("none")
    for name in ("weights.pt", "missing.pt"):
        assert call("analyze", "net.py", "--weights", name).exit_code == 2


def test_a_repositorys_network_gets_values_when_its_forward_asks_for_them() -> None:
    name = "hub:someone/nets:main:Net"
    loaded = load_model(name, values=False)
    with pytest.raises(ModelError, match="meta"), loaded.running():
        analyze(loaded.module, (3, 8, 8))
    assert macs(name) == 3 * 64
    result = call("check", name, "--max-params", "100")
    assert result.exit_code == 0, result.stderr
    assert result.stderr.count("ran the code of someone/nets:main") == 1
