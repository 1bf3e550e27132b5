"""Networks of collections: what is built, that nothing is allocated or downloaded, and what is refused."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import urllib.error
from functools import partial
from pathlib import Path

import pytest
import torch
import torchvision

from cifar_report.analyzer import analyze
from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.analyzer.load import load_model
from tests.analyzer import loading

SEGMENTATION = torchvision.models.segmentation.fcn_resnet50
refused = partial(loading.refused, values=False)


def params(spec: str) -> int:
    return sum(p.numel() for p in load_model(spec, values=False).module.parameters())


# torchvision


def test_torchvisions_networks_are_built_with_the_arguments_given() -> None:
    assert params("torchvision:resnet18") == 11_689_512
    assert params("torchvision:resnet18(num_classes=10)") == 11_689_512 - 990 * 513


@pytest.mark.parametrize("name", ["segmentation.fcn_resnet50", "fcn_resnet50"])
def test_a_network_of_another_kind_is_found_and_its_backbone_is_not_downloaded(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", None)
    expected = sum(p.numel() for p in SEGMENTATION(weights=None, weights_backbone=None).parameters())
    assert params(f"torchvision:{name}") == expected


@pytest.mark.parametrize("name", ["quantization.resnet18", "quantized_resnet18"])
def test_a_quantizable_network_is_not_mistaken_for_the_plain_one(name: str) -> None:
    loaded = load_model(f"torchvision:{name}", values=False)
    assert type(loaded.module).__name__ == "QuantizableResNet"


def test_values_come_when_they_are_asked_for() -> None:
    name = "torchvision:squeezenet1_1"
    without, with_values = load_model(name, values=False), load_model(name)
    assert (without.hollow, with_values.hollow) == (True, False)
    assert all(p.is_meta for p in without.module.parameters())
    assert all(p.isfinite().all() for p in with_values.module.parameters())
    assert without.name == name
    assert without.source is not None
    assert without.source.name == "squeezenet.py"


@pytest.mark.parametrize("name", ["regnet_y_400mf", "swin_t"])  # reads values when built; has index tables
def test_the_analysis_without_values_is_the_one_with_them(name: str) -> None:
    without, full = (load_model(f"torchvision:{name}", values=values) for values in (False, True))
    assert without.hollow
    found, expected = (analyze(loaded.module, (3, 64, 64), name=name) for loaded in (without, full))
    assert found == expected


def test_a_network_that_cannot_be_built_without_values_is_built_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Reads(torch.nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 2)
            self.scale = self.weight.norm().item()

    monkeypatch.setattr(torchvision.models, "get_model_builder", lambda name: torchvision.models.resnet18)
    monkeypatch.setattr(torchvision.models.resnet, "_resnet", lambda *args, **kwargs: Reads())
    loaded = load_model("torchvision:resnet18", values=False)
    assert not loaded.hollow
    assert loaded.module.scale > 0


def test_what_torchvision_does_not_have_names_the_nearest() -> None:
    assert "did you mean torchvision:resnet50" in refused("torchvision:resnet50x", UsageError)
    assert "torchvision:video.r3d_18" in refused("torchvision:video.r3d_81", UsageError)
    assert "nothing follows the colon" in refused("torchvision:", UsageError)


@pytest.mark.parametrize("argument", ["weights='DEFAULT'", "pretrained=True", "weights_backbone='DEFAULT'"])
def test_trained_weights_are_refused_with_the_option_for_files(argument: str) -> None:
    message = refused(f"torchvision:resnet18({argument})", ModelError)
    assert argument in message
    assert "--weights FILE" in message


def test_an_argument_that_a_constructor_refuses_is_told_without_a_traceback() -> None:
    message = refused("torchvision:resnet18(classes=3)", ModelError)
    assert "torchvision:resnet18 could not be built: TypeError" in message
    assert "'classes'" in message


def test_without_torchvision_its_line_for_pip_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert "pip install torchvision" in refused("torchvision:resnet18", UsageError)


def test_check_of_a_vit_h_takes_little_memory_above_the_import_of_torchvision() -> None:
    """632 million parameters are 2.5 GB; the bound is 200 MB, and 60 s of CPU on a busy machine."""
    script = """
import io, json, resource, sys, contextlib, torchvision
from cifar_report.cli.main import main
def used(): return resource.getrusage(resource.RUSAGE_SELF)
before, out = used(), io.StringIO()
with contextlib.redirect_stdout(out):
    code = main(sys.argv[1:], standalone_mode=False)
after = used()
grown, seconds = after.ru_maxrss - before.ru_maxrss, after.ru_utime - before.ru_utime
print(json.dumps([code, out.getvalue(), grown, seconds]))
"""
    arguments = ["check", "torchvision:vit_h_14", "--max-params", "1G", "--input", "3,224,224"]
    command = [sys.executable, "-c", script, *arguments, "--format", "json"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    code, text, kibibytes, seconds = json.loads(run.stdout.splitlines()[-1])
    assert code == 0
    assert json.loads(text)["verdicts"][0]["measured"] == "632,045,800"
    assert kibibytes < 200_000
    assert seconds < 60


# timm


def test_without_timm_its_line_for_pip_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    message = refused("timm:resnet18", UsageError)
    assert "timm:resnet18 needs timm, which is not installed" in message
    assert "next:     pip install timm" in message


TIMM = """
from torch import nn
def list_models(): return ["tinynet", "widenet"]
def is_model(name): return name.partition(".")[0] in list_models()
def create_model(model_name, pretrained=True, **kwargs):
    assert pretrained is False
    return nn.Linear(kwargs.pop("width", 2), 2, **kwargs)
"""


@pytest.fixture
def timm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in for timm, which the tests don't install, with the three functions of it that are used."""
    (tmp_path / "timm.py").write_text(TIMM)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.delitem(sys.modules, "timm")


@pytest.mark.usefixtures("timm")
def test_timms_networks_are_built_without_downloads_with_a_tag_or_without() -> None:
    assert params("timm:tinynet") == 6
    assert params("timm:tinynet.a1_in1k(width=3, bias=False)") == 6
    assert load_model("timm:widenet", values=False).hollow
    assert "did you mean timm:tinynet" in refused("timm:tinnynet", UsageError)
    assert "could not be built: TypeError" in refused("timm:tinynet(depth=3)", ModelError)


# torch.hub


HUBCONF = """
from torch import nn
import parts
def tiny(width=2, **kwargs):
    print("building")
    return parts.Late(width)
def broken(): raise KeyError("weights")
def text(): return "no network"
"""

PARTS = """
from torch import nn
class Late(nn.Linear):
    def __init__(self, width):
        super().__init__(width, 2)
    def forward(self, x):
        from later import double
        return double(super().forward(x))
"""


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository as torch.hub keeps it, in a machine without a network."""

    def no_network(*args: object, **kwargs: object) -> None:
        raise urllib.error.URLError("no network")

    monkeypatch.setattr(torch.hub, "urlopen", no_network)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "someone_nets_main"
    folder.mkdir(parents=True)
    (folder / "hubconf.py").write_text(HUBCONF)
    (folder / "parts.py").write_text(PARTS)
    (folder / "later.py").write_text("def double(x): return 2 * x\n")
    return folder


def test_a_repositorys_network_is_built_and_it_is_said_whose_code_ran(
    hub: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = list(sys.path)
    for name in ("hub:someone/nets:main:tiny", "hub:someone/nets:tiny(width=2)"):
        loaded = load_model(name, values=False)
        assert sum(p.numel() for p in loaded.module.parameters()) == 6
        assert loaded.hollow
        assert loaded.note.endswith(f" in {hub}")
        assert "ran the code of someone/nets" in loaded.note
        assert loaded.source == hub / "parts.py"
    assert "parts" not in sys.modules
    assert sys.path == path
    assert capsys.readouterr().out == ""


def test_a_repositorys_network_finds_its_neighbours_while_it_runs(hub: Path) -> None:
    loaded = load_model("hub:someone/nets:tiny")
    with loaded.running():
        assert loaded.module(torch.ones(1, 2)).shape == (1, 2)
    assert not {"parts", "later"} & set(sys.modules)


@pytest.mark.usefixtures("hub")
def test_what_a_repository_gets_wrong_is_told() -> None:
    message = refused("hub:someone/nets:tinny", ModelError)
    assert "has no network 'tinny'" in message
    assert "did you mean tiny?" in message
    assert "hubconf.py, line 7" in refused("hub:someone/nets:broken", ModelError)
    assert "returned no network" in refused("hub:someone/nets:text", ModelError)


@pytest.mark.parametrize("name", ["hub:other/nets:tiny", "hub:pytorch/vision:v9:resnet18"])
@pytest.mark.usefixtures("hub")
def test_without_a_network_connection_the_way_around_is_shown(name: str) -> None:
    message = refused(name, UsageError)
    assert "could not be downloaded from GitHub" in message
    assert "git clone https://github.com/" in message
    assert "hubconf.py:" in message


@pytest.mark.parametrize("answer", ["", "n\n"])
@pytest.mark.usefixtures("hub")
def test_a_stranger_is_not_run_without_consent(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(answer))
    message = refused("hub:stranger/nets:v1:tiny", UsageError)
    assert "runs other people's code, which you have not agreed to" in message
    assert "torch.hub.list('stranger/nets', trust_repo=True)" in message


@pytest.mark.usefixtures("hub")
def test_a_library_that_a_repository_needs_is_named(hub: Path) -> None:
    (hub / "hubconf.py").write_text("dependencies = ['nowhere_to_be_found']\n" + HUBCONF)
    message = refused("hub:someone/nets:tiny", ModelError)
    assert "pip install nowhere_to_be_found" in message


@pytest.mark.parametrize(
    "text", ["hub:", "hub:someone", "hub:someone/nets", "hub:/nets:tiny", "hub:a/b/c:tiny"]
)
def test_a_name_that_is_no_repositorys_is_shown_with_a_caret(text: str) -> None:
    lines = refused(text, UsageError).splitlines()
    assert lines[1].strip() == text
    assert lines[2].index("^") == lines[1].index(text) + 4
