"""Loading a network by name: what is taken, and that the process is as it was."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from torch import nn

from cifar_report.analyzer.load import load_model
from cifar_report.models import registry
from tests.analyzer.loading import NET, Write, params, refused

# What is taken


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("", 4 * 10 + 10),
        (":Net", 4 * 10 + 10),
        (":Net()", 4 * 10 + 10),
        (":Net(3)", 4 * 3 + 3),
        (":Net(num_classes=7, bias=False)", 4 * 7),
        (": Net( 7 , bias = False )", 4 * 7),
    ],
)
def test_a_class_is_built_with_the_arguments_given(write: Write, call: str, expected: int) -> None:
    loaded = load_model(write(NET) + call)
    assert params(loaded) == expected
    assert type(loaded.module).__name__ == "Net"
    assert loaded.source == Path("model.py").resolve()
    assert loaded.note == ""


def test_the_name_of_a_loaded_network_loads_it_again(write: Write) -> None:
    assert load_model(write(NET)).name == "model.py:Net"
    assert load_model("model.py:Net(num_classes=3)").name == "model.py:Net(num_classes=3)"


@pytest.mark.parametrize(
    "factory",
    [
        "def build(): return nn.Linear(2, 2)",
        "def build() -> nn.Module: return dict(a=nn.Linear(2, 2))['a']",
        "def build(width=2):\n    net = nn.Sequential(nn.Linear(width, 2))\n    return net",
        "def build(): return nn.Linear(2, 2).eval()",
        "def _inner(): return nn.Linear(2, 2)\ndef build() -> 'nn.Module': return _inner()",
        "model = nn.Linear(2, 2)",
        "model = nn.Linear(2, 2)\nloss = nn.CrossEntropyLoss()",
        "if True:\n    model = nn.Linear(2, 2)",
    ],
)
def test_a_file_with_one_factory_or_instance_needs_no_name(write: Write, factory: str) -> None:
    assert params(load_model(write(f"from torch import nn\n{factory}\n"))) == 6


def test_an_instance_is_used_as_it_is(write: Write) -> None:
    write(NET + "model = Net(5).eval()\n")
    loaded = load_model("model.py:model")
    assert params(loaded) == 4 * 5 + 5
    assert not loaded.module.training


def test_a_dotted_name_reaches_into_a_class(write: Write) -> None:
    write("from torch import nn\nclass Zoo:\n    small = nn.Linear(2, 2)\n")
    assert params(load_model("model.py:Zoo.small")) == 6


def test_a_module_of_the_current_folder_is_found(write: Write) -> None:
    write("", "package/__init__.py")
    write(NET, "package/nets.py")
    assert params(load_model("package.nets:Net(num_classes=2)")) == 10
    assert load_model("package.nets").name == "package.nets:Net"


def test_an_installed_module_is_found() -> None:
    loaded = load_model("torch.nn:Linear(2, 3)")
    assert isinstance(loaded.module, nn.Linear)
    assert params(loaded) == 9


def test_every_built_in_name_loads() -> None:
    for name in registry.names():
        loaded = load_model(name)
        assert loaded.name == name
        assert loaded.source is not None
        assert type(loaded.module).__module__ == f"cifar_report.models.{loaded.source.stem}"


def test_a_file_in_another_folder_imports_its_neighbours(write: Write) -> None:
    write("from torch import nn\nclass Block(nn.Linear):\n    pass\n", "there/blocks.py")
    name = write(
        "from torch import nn\nfrom blocks import Block\ndef build(): return nn.Sequential(Block(2, 2))\n",
        "there/net.py",
    )
    assert params(load_model(name)) == 6


def test_files_of_one_name_in_two_folders_are_not_mixed_up(write: Write) -> None:
    for folder, width in (("a", 2), ("b", 5)):
        write(f"WIDTH = {width}\n", f"{folder}/width.py")
        write(
            "from torch import nn\nfrom width import WIDTH\ndef net(): return nn.Linear(1, WIDTH, False)\n",
            f"{folder}/net.py",
        )
    assert [params(load_model(f"{folder}/net.py")) for folder in "ab"] == [2, 5]


# Which of several


def test_of_a_block_and_the_network_that_uses_it_the_network_is_taken_and_said(write: Write) -> None:
    loaded = load_model(
        write("""
            from torch import nn
            class Block(nn.Module):
                def __init__(self, width=1):
                    super().__init__()
            def stage(width):
                return nn.Sequential(Block(width), Block(width))
            class Net(nn.Module):
                def __init__(self):
                    super().__init__()
                    self.body = stage(3)
        """)
    )
    assert type(loaded.module).__name__ == "Net"
    assert loaded.note.startswith("model.py defines 3 networks; taking Net (not Block")
    assert "used by" in loaded.note


def test_of_two_unrelated_networks_the_one_without_needs_is_taken(write: Write) -> None:
    write(NET + "class Part(nn.Module):\n    def __init__(self, width):\n        super().__init__()\n")
    assert load_model("model.py").name == "model.py:Net"


def test_two_networks_that_could_both_be_meant_are_listed_with_their_lines(write: Write) -> None:
    message = refused(write(NET + "\nclass Other(nn.Module):\n    pass\n"))
    assert "several networks" in message
    assert "Net (line 4)" in message
    assert "Other (line 11)" in message
    assert "model.py:Other" in message


def test_networks_that_all_need_arguments_are_listed_with_the_spelling(write: Write) -> None:
    message = refused(
        write("""
            from torch import nn
            class Block(nn.Module):
                def __init__(self, width):
                    super().__init__()
            class Net(nn.Module):
                def __init__(self, num_classes):
                    super().__init__()
                    self.block = Block(3)
        """)
    )
    assert "Block (line 3, needs width, used by Net)" in message
    assert "name one: model.py:Net(num_classes=10)" in message


def test_imported_networks_and_private_ones_are_not_candidates(write: Write) -> None:
    write(NET + "from torch.nn import Linear\nclass _Base(nn.Module):\n    pass\n")
    assert load_model("model.py").note == ""


# The process afterwards


@pytest.mark.parametrize("end", ["", "raise ValueError\n", "raise SystemExit\n"])
def test_the_process_is_as_it_was(write: Write, capsys: pytest.CaptureFixture[str], end: str) -> None:
    write("print('neighbour')\n", "neighbour_of_model.py")
    before = (list(sys.path), list(sys.argv), set(sys.modules), sys.dont_write_bytecode)
    head = "import neighbour_of_model\nprint('import')\nif __name__ == '__main__':\n    print('main')\n"
    write(head + NET.replace("self.fc", "print('init'); self.fc") + end)
    if end:
        refused("model.py")
    else:
        load_model("model.py")
    after = (list(sys.path), list(sys.argv), set(sys.modules), sys.dont_write_bytecode)
    assert after == before
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.split()[:2] == ["neighbour", "import"]
    assert "main" not in printed.err.split()
    assert ("init" in printed.err) is not bool(end)
    assert sorted(path.name for path in Path().rglob("*")) == ["model.py", "neighbour_of_model.py"]


def test_a_file_that_parses_arguments_does_not_see_ours(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["cifar-report", "check", "model.py", "--max-params", "1"])
    head = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--w', default=2)\n"
    write(head + "width = int(p.parse_args().w)\n" + NET.replace("4,", "width,"))
    assert params(load_model("model.py")) == 2 * 10 + 10


def test_ctrl_c_is_passed_on(write: Write) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_model(write("raise KeyboardInterrupt\n"))
