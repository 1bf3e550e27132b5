"""The program around the commands: finding them, and turning every failure into a message and a code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import click
import pytest
from click.testing import Result

from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.cli import console
from cifar_report.cli.main import BROKEN_PIPE_EXIT, BUG_EXIT, COMMANDS, INTERRUPT_EXIT, Entry
from tests.cli.program import call

Probe = Callable[..., Result]


@pytest.fixture
def probe(monkeypatch: pytest.MonkeyPatch) -> Probe:
    """Run `cifar-report probe ...`, a command that does what it is told."""

    def run(action: Callable[[], object], *arguments: str) -> Result:
        @click.command()
        @click.option("--number", type=int)
        def command(number: int | None) -> object:
            """Probe."""
            return action()

        module = ModuleType("probe_of_main")
        module.__dict__["probe"] = command
        monkeypatch.setitem(sys.modules, "probe_of_main", module)
        monkeypatch.setitem(COMMANDS, "probe", Entry("probe_of_main:probe", "Probe."))
        return call("probe", *arguments)

    return run


def raising(error: BaseException) -> Callable[[], object]:
    def action() -> object:
        raise error

    return action


# Finding a command


def test_help_lists_every_command_in_the_order_of_use() -> None:
    result = call("--help")
    assert result.exit_code == 0
    names = [line.split()[0] for line in result.stdout.partition("Commands:")[2].splitlines() if line]
    assert names == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_takes_verbose(name: str) -> None:
    result = call(name, "--help")
    assert result.exit_code == 0, result.stderr
    assert f"cifar-report {name}" in result.stdout
    assert "--verbose" in result.stdout


def test_no_command_prints_the_help_to_standard_error() -> None:
    result = call()
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Commands:" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["chek", "model.py"], "no command 'chek'. Did you mean check?"),
        (["train_and_report"], "Did you mean train-and-report"),
        (["model.py:Net"], "Did you mean: cifar-report check model.py:Net"),
        (["zzz"], "Commands: check, analyze"),
        (["--versoin"], "--version"),
    ],
)
def test_a_wrong_command_names_the_nearest(arguments: list[str], said: str) -> None:
    result = call(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert call("--version").stdout.split()[-1] == version("cifar-report")


# Failures


@pytest.mark.parametrize(("error", "code"), [(UsageError, 2), (ModelError, 3)])
def test_a_problem_is_a_message_and_its_code(probe: Probe, error: type[Exception], code: int) -> None:
    result = probe(raising(error("layer conv1 is wrong", expected="3", found="4", hint="use 3")))
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        "error: layer conv1 is wrong",
        "  expected: 3",
        "  found:    4",
        "  next:     use 3",
    ]


def test_a_wrong_option_value_is_wrong_usage(probe: Probe) -> None:
    result = probe(lambda: None, "--number", "many")
    assert result.exit_code == 2
    assert "error: Invalid value for '--number': 'many' is not a valid integer." in result.stderr
    assert "cifar-report probe --help" in result.stderr


def test_a_file_that_click_cannot_open_is_not_an_unmet_constraint(probe: Probe) -> None:
    assert probe(raising(click.FileError("x.toml", "no such file"))).exit_code == 2


@pytest.mark.parametrize(
    ("action", "code"),
    [
        (lambda: None, 0),
        (lambda: 4, 4),
        (lambda: click.get_current_context().exit(1), 1),
        (raising(SystemExit(3)), 3),
        (raising(KeyboardInterrupt()), INTERRUPT_EXIT),
        (raising(click.Abort()), INTERRUPT_EXIT),
    ],
)
def test_a_commands_end_becomes_the_exit_code(probe: Probe, action: Callable[[], object], code: int) -> None:
    assert probe(action).exit_code == code


@pytest.mark.parametrize(("library", "extra"), [("torchvision.datasets", "train"), ("jinja2", "report")])
def test_a_missing_library_says_which_extra_brings_it(probe: Probe, library: str, extra: str) -> None:
    result = probe(raising(ModuleNotFoundError(f"No module named {library!r}", name=library)))
    assert result.exit_code == 2
    assert f'pip install "cifar-report[{extra}]"' in result.stderr


def test_a_bug_is_owned_up_to_without_a_traceback(probe: Probe) -> None:
    result = probe(raising(RuntimeError("boom")))
    assert result.exit_code == BUG_EXIT
    assert result.stdout == ""
    assert "this is a bug in cifar-report" in result.stderr
    assert "RuntimeError: boom" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("how", ["option", "variable"])
def test_a_traceback_is_printed_when_asked_for(
    probe: Probe, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    if how == "variable":
        monkeypatch.setenv("CIFAR_REPORT_DEBUG", "1")
    arguments = ["--verbose"] if how == "option" else []
    assert "Traceback" in probe(raising(RuntimeError("boom")), *arguments).stderr
    problem = probe(raising(ModelError("broken")), *arguments)
    assert "Traceback" in problem.stderr
    assert problem.exit_code == ModelError.exit_code


def program(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cifar_report.cli", *arguments]


def test_a_reader_that_goes_away_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = subprocess.run(program("--help"), stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert process.stderr == b""
    assert process.returncode == BROKEN_PIPE_EXIT


def test_ctrl_c_while_a_network_is_loaded_stops_at_once(tmp_path: Path) -> None:
    model = tmp_path / "model.py"
    model.write_text("import sys, time\nprint('here', file=sys.stderr, flush=True)\ntime.sleep(60)\n")
    with subprocess.Popen(
        program("check", str(model), "--min-rf", "1"), stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == "here\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == INTERRUPT_EXIT
        assert "Traceback" not in process.stderr.read()


# Where results go


def test_a_file_is_replaced_as_a_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "out.txt"
    path.write_text("before")
    path.chmod(0o640)
    link = tmp_path / "link.txt"
    link.symlink_to(path)
    console.write_result("after\n\n", link)
    assert path.read_text() == "after\n"
    assert path.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [link, path]


@pytest.mark.parametrize("name", ["missing/out.txt", "folder", "file/out.txt"])
def test_a_file_that_cannot_be_written_is_wrong_usage_and_leaves_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept")
    with pytest.raises(UsageError, match="can't write"):
        console.write_result("text", tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
    assert (tmp_path / "file").read_text() == "kept"


def test_a_device_is_written_to_directly() -> None:
    console.write_result("text", Path(os.devnull))
    assert not Path(os.devnull).is_file()


def test_tables_are_plain_away_from_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    from rich.table import Table

    table = Table("metric", "measured")
    table.add_row("params", "[red]86,816[/red]")
    console.result_console().print(table)
    printed = capsys.readouterr().out
    assert "86,816" in printed
    assert "\x1b" not in printed
    assert console.rendered(table).split() == printed.split()
