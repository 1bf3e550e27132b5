"""A network's own modules: known while it runs, and gone from the process before and after."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from cifar_report.analyzer import analyze
from cifar_report.analyzer.errors import ModelError
from cifar_report.analyzer.load import LoadedModel, load_model

NET = """
from torch import nn
import blocks_here
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(2, 2)
    def forward(self, x):
        import blocks_here
        from late_here import scale
        return self.fc(x) * scale * blocks_here.scale
"""


def write(folder: Path, scale: int) -> str:
    folder.mkdir()
    (folder / "net.py").write_text(NET)
    (folder / "blocks_here.py").write_text("scale = 1\n")
    (folder / "late_here.py").write_text(f"scale = {scale}\n")
    return str(folder / "net.py")


def output(loaded: LoadedModel) -> float:
    torch.nn.init.ones_(loaded.module.fc.weight)
    torch.nn.init.zeros_(loaded.module.fc.bias)
    with loaded.running(), torch.no_grad():
        return float(loaded.module(torch.ones(2))[0])


def test_a_forward_finds_its_own_neighbours_also_between_other_networks(tmp_path: Path) -> None:
    five, seven = load_model(write(tmp_path / "five", 5)), load_model(write(tmp_path / "seven", 7))
    assert [output(five), output(seven), output(five), output(seven)] == [10, 14, 10, 14]


def test_a_class_is_found_by_its_modules_name_while_it_runs(tmp_path: Path) -> None:
    loaded = load_model(write(tmp_path / "net", 5))
    name = type(loaded.module).__module__
    with loaded.running():
        assert sys.modules[name].Net is type(loaded.module)
    assert name not in sys.modules


def test_nothing_of_it_stays_in_the_process(tmp_path: Path) -> None:
    loaded = load_model(write(tmp_path / "net", 5))
    before = set(sys.modules), list(sys.path), sys.dont_write_bytecode
    with loaded.running():
        analyze(loaded.module, (2,))
    with pytest.raises(ZeroDivisionError), loaded.running():
        raise ZeroDivisionError
    assert (set(sys.modules), list(sys.path), sys.dont_write_bytecode) == before
    assert sorted(path.name for path in (tmp_path / "net").iterdir()) == [
        "blocks_here.py",
        "late_here.py",
        "net.py",
    ]
    with pytest.raises(ModelError, match="No module named 'blocks_here'"):
        analyze(loaded.module, (2,))


def test_a_module_of_the_process_that_has_the_same_name_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load_model(write(tmp_path / "net", 5))
    other = ModuleType("blocks_here")
    monkeypatch.setitem(sys.modules, "blocks_here", other)
    assert output(loaded) == 10
    assert sys.modules["blocks_here"] is other


def test_a_folder_that_the_file_adds_is_there_again_while_the_network_runs(tmp_path: Path) -> None:
    name = write(tmp_path / "net", 5)
    (tmp_path / "lib").mkdir()
    (tmp_path / "net" / "late_here.py").rename(tmp_path / "lib" / "late_here.py")
    file = Path(name)
    file.write_text(f"import sys\nsys.path.append({str(tmp_path / 'lib')!r})\n" + file.read_text())
    before = list(sys.path)
    assert output(load_model(name)) == 10
    assert list(sys.path) == before
    assert "late_here" not in sys.modules


def test_an_installed_network_runs_as_it_is() -> None:
    with load_model("document_003").running():
        pass
    with load_model("torch.nn:Linear(2, 2)").running():
        pass


def test_a_network_can_be_loaded_while_another_one_runs(tmp_path: Path) -> None:
    outer = load_model(write(tmp_path / "outer", 5))
    with outer.running():
        inner = load_model(write(tmp_path / "inner", 7))
        name = type(outer.module).__module__
        assert sys.modules[name].Net is type(outer.module)
    assert (output(inner), output(outer)) == (14, 10)
