"""Loading a network by name: what is taken, what is refused, and that the process is as it was."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from cifar_report.analyzer.errors import ModelError, Problem, UsageError
from cifar_report.analyzer.load import LoadedModel, load_model
from cifar_report.models import registry

Write = Callable[..., str]

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes=10, bias=True):
        super().__init__()
        self.fc = nn.Linear(4, num_classes, bias=bias)
    def forward(self, x):
        return self.fc(x)
"""


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


def refused(spec: str, kind: type[Problem] = ModelError) -> str:
    with pytest.raises(kind) as caught:
        load_model(spec)
    assert type(caught.value) is kind
    return str(caught.value)


def params(loaded: LoadedModel) -> int:
    return sum(p.numel() for p in loaded.module.parameters())


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


# What is refused: the name


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        ("Net(num_classes=N)", "not a literal"),
        ("Net(print('hello'))", "not a literal"),
        ("Net(2 ** 8)", "not a literal"),
        ("Net(*[1])", "not a literal"),
        ("Net(**{'a': 1})", "**"),
        ("Net(", "never closed"),
        ("Net)(", "can't be read"),
        ("", "nothing follows the colon"),
        ("nets[0]", "a class or a function is named"),
        ("f()()", "a class or a function is named"),
        (":Net", "can't be read"),
    ],
)
def test_a_name_that_cannot_be_read_is_wrong_usage(write: Write, call: str, reason: str) -> None:
    write("raise AssertionError('must not be imported')")
    message = refused(f"model.py:{call}", UsageError)
    assert reason in message.splitlines()[0]
    assert message.splitlines()[1].strip() == f"model.py:{call}"
    assert message.splitlines()[2].strip() == "^"


def test_the_caret_stands_below_the_argument(write: Write) -> None:
    lines = refused(write(NET) + ":Net(num_classes=10, bias=größe, x=small)", UsageError).splitlines()
    assert lines[2].index("^") == lines[1].index("größe")


def test_a_missing_file_names_its_neighbours(write: Write) -> None:
    write(NET, "nets/resnet.py")
    message = refused("nets/resnett.py:Net", UsageError)
    assert "there is no file nets/resnett.py" in message
    assert "did you mean nets/resnet.py?" in message


def test_a_forgotten_ending_is_noticed(write: Write) -> None:
    write(NET)
    assert "did you mean model.py?" in refused("./model", UsageError)
    assert "did you mean model.py?" in refused("modell", UsageError)


def test_a_built_in_name_with_a_slip_names_the_right_one() -> None:
    assert "document_003" in refused("document_03", UsageError)


def test_a_folder_names_the_files_in_it(write: Write) -> None:
    write(NET, "nets/a.py")
    message = refused("nets/", UsageError)
    assert "is a folder" in message
    assert "nets/a.py" in message


def test_a_file_that_is_not_python_is_refused(write: Write) -> None:
    assert "not a Python file" in refused(write("weights", "model.pt"), UsageError)


def test_a_missing_module_is_wrong_usage(write: Write) -> None:
    assert "no module 'nowhere'" in refused("nowhere.nets:Net", UsageError)
    assert "no module 'torch.nowhere'" in refused("torch.nowhere:Net", UsageError)
    assert "empty name" in refused(" ", UsageError)


# What is refused: the file


def test_a_syntax_error_is_shown_with_line_and_caret(write: Write) -> None:
    lines = refused(write("import torch\n\n    def forward(x:\n")).splitlines()
    assert lines[0].startswith("model.py, line 3: syntax error: unexpected indent")
    assert lines[1] == "    def forward(x:"
    lines = refused(write("def f():\n    y = (1 +* 2)\n")).splitlines()
    assert lines[0] == "model.py, line 2: syntax error: invalid syntax"
    assert lines[1][lines[2].index("^")] == "*"


def test_a_syntax_error_in_an_imported_neighbour_names_that_file(write: Write) -> None:
    write("x = = 1\n", "blocks.py")
    assert "blocks.py, line 1: syntax error" in refused(write("import blocks\n"))


@pytest.mark.parametrize(
    ("statement", "what", "hint"),
    [
        ("import nowhere_to_be_found", "No module named 'nowhere_to_be_found'", "pip install nowhere_to_be"),
        ("import torch.nowhere", "No module named 'torch.nowhere'", "torch is installed, but has no"),
        ("from torch.nn import Conv7d", "cannot import name 'Conv7d'", "check the name"),
        ("from .blocks import Block", "relative import", "write `from blocks import Block`"),
    ],
)
def test_an_import_that_fails_shows_its_line_and_what_to_do(
    write: Write, statement: str, what: str, hint: str
) -> None:
    message = refused(write(f"import torch\n\n{statement}\n"))
    assert "model.py could not be imported" in message
    assert what in message
    assert f"model.py, line 3: {statement}" in message
    assert f"next:     {hint}" in message


def test_a_package_above_the_file_is_pointed_at(write: Write) -> None:
    write("", "project/__init__.py")
    message = refused(write("import project.blocks\n", "project/nets/net.py"))
    assert "name the network package.module:Net" in message


def test_an_exception_on_import_shows_its_line(write: Write) -> None:
    message = refused(write("import math\n\ndef f():\n    return math.sqrt(-1)\n\nf()\n"))
    assert "ValueError" in message
    assert "model.py, line 4: return math.sqrt(-1)" in message


def test_an_exception_inside_a_library_shows_the_users_line(write: Write) -> None:
    message = refused(write("from torch import nn\nfc = nn.Conv2d(3, 10, 3, groups=4)\n"))
    assert "in_channels must be divisible by groups" in message
    assert "model.py, line 2: fc = nn.Conv2d(3, 10, 3, groups=4)" in message


def test_a_file_that_exits_is_refused(write: Write) -> None:
    message = refused(write("import sys\nsys.exit(5)\n"))
    assert "ended the program" in message
    assert "line 2: sys.exit(5)" in message
    assert "__main__" in message


def test_a_file_that_parses_arguments_does_not_see_ours(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["cifar-report", "check", "model.py", "--max-params", "1"])
    head = "import argparse\np = argparse.ArgumentParser()\np.add_argument('--w', default=2)\n"
    write(head + "width = int(p.parse_args().w)\n" + NET.replace("4,", "width,"))
    assert params(load_model("model.py")) == 2 * 10 + 10


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "no class and no function"),
        ("class Config: pass\ndef train(): pass\n", "Config, train"),
        ("from torch.nn import Linear\n", "Linear (imported)"),
        ("import torch.nn as nn\nloss = nn.CrossEntropyLoss()\n", "no class and no function"),
    ],
)
def test_a_file_without_a_network_says_what_it_has(write: Write, text: str, found: str) -> None:
    message = refused(write(text))
    assert "model.py defines no network" in message
    assert found in message


def test_a_wrong_name_names_the_nearest(write: Write) -> None:
    message = refused(write(NET) + ":Nett")
    assert "model.py has no 'Nett'" in message
    assert "did you mean Net?" in message


@pytest.mark.parametrize(
    ("definition", "call", "reason"),
    [
        ("Net = 5", "Net", "is not a network"),
        ("class Net: pass", "Net()", "is a class, but not a network"),
        ("def Net(): return [1]", "Net()", "returned no network"),
        ("import torch as Net", "Net", "is not a network"),
        ("from torch import nn\nNet = nn.Linear(1, 1)", "Net()", "is a network already"),
    ],
)
def test_something_else_than_a_network_is_refused(
    write: Write, definition: str, call: str, reason: str
) -> None:
    assert reason in refused(f"{write(definition)}:{call}")


def test_arguments_that_are_missing_are_named_with_the_spelling(write: Write) -> None:
    write(NET.replace("num_classes=10", "num_classes, in_channels"))
    for spec in ("model.py", "model.py:Net"):
        message = refused(spec)
        assert "model.py:Net needs num_classes, in_channels" in message
        assert "Net(num_classes, in_channels, bias=True)" in message
        assert "model.py:Net(num_classes=10, in_channels=3)" in message


def test_a_library_that_refuses_is_not_blamed_on_our_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(__file__).parents[2])
    message = refused("torch.nn:Conv2d(3, 10, 3, groups=4)")
    assert message == (
        "torch.nn:Conv2d could not be built: ValueError: in_channels must be divisible by groups"
    )


def test_an_argument_that_is_not_taken_is_named(write: Write) -> None:
    message = refused(write(NET) + ":Net(classes=3)")
    assert "unexpected keyword argument 'classes'" in message
    assert "Net(num_classes=10, bias=True)" in message


def test_a_constructor_that_raises_shows_its_line(write: Write) -> None:
    message = refused(write(NET) + ":Net(num_classes='ten')")
    assert "model.py:Net could not be built: TypeError" in message
    assert "model.py, line 7: self.fc = nn.Linear(4, num_classes, bias=bias)" in message


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


def test_ctrl_c_is_passed_on(write: Write) -> None:
    with pytest.raises(KeyboardInterrupt):
        load_model(write("raise KeyboardInterrupt\n"))
