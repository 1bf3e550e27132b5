"""Files that no network can be loaded from, and what is said of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.analyzer.loading import NET, Write, refused


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
