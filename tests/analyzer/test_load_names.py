"""Names that no network can be loaded by, and what is said of them."""

from __future__ import annotations

import pytest

from cifar_report.analyzer.errors import UsageError
from tests.analyzer.loading import NET, Write, refused


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
