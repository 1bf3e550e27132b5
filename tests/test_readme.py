"""The README tells the truth about the command line. `pytest --overwrite` renews its help block."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cifar_report.cli.main import main

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
HELP_BLOCK = re.compile(
    r"(<!-- help: cifar-report --help -->\n```text\n)(.*?)(```\n<!-- /help -->)", re.DOTALL
)


def code_lines() -> Iterator[str]:
    """Yield the lines of the README's shell blocks, without their remarks."""
    for block in re.findall(
        r"^```sh\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        for line in block.splitlines():
            yield line.partition("#")[0].strip()


COMMAND_LINES = sorted({line for line in code_lines() if line.startswith("cifar-report ")})


MAKE_TARGETS = sorted(
    {part for line in code_lines() if line.startswith("make ") for part in line.split()[1:]}
)


def test_the_help_block_is_what_the_program_prints(overwrite: bool) -> None:
    printed = CliRunner().invoke(main, ["--help"], terminal_width=100).stdout
    text = README.read_text(encoding="utf-8")
    assert HELP_BLOCK.search(text), "the README has lost its help block"
    if overwrite:
        README.write_text(HELP_BLOCK.sub(lambda m: m[1] + printed + m[3], text), encoding="utf-8")
        return
    found = HELP_BLOCK.search(text)
    assert found is not None
    assert found[2] == printed


def test_the_readme_shows_every_part_of_the_job() -> None:
    shown = {line.split()[1] for line in COMMAND_LINES}
    assert shown >= {"check", "analyze", "train", "report", "train-and-report"}


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_every_command_line_of_the_readme_is_understood(line: str) -> None:
    """Parse it as the program would, without running it."""
    _, name, *arguments = shlex.split(line)
    command = main.get_command(click.Context(main), name)
    assert command is not None
    with click.Context(main, info_name="cifar-report") as context:
        while isinstance(command, click.Group) and arguments:
            _, command, arguments = command.resolve_command(context, arguments)
        assert command is not None
        parsed = command.make_context(name, list(arguments), parent=context)
    assert parsed.params or isinstance(command, click.Group)


@pytest.mark.parametrize("target", MAKE_TARGETS)
def test_every_make_target_of_the_readme_exists(target: str) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_exit_code_of_the_program_is_in_the_readme() -> None:
    from cifar_report.analyzer.errors import ModelError, UsageError
    from cifar_report.cli.main import BROKEN_PIPE_EXIT, BUG_EXIT, INTERRUPT_EXIT

    table = {
        int(code) for code in re.findall(r"^\| (\d+) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    }
    own = {UsageError.exit_code, ModelError.exit_code, BUG_EXIT, INTERRUPT_EXIT, BROKEN_PIPE_EXIT}
    assert table == {0, 1, 4} | own


def test_every_link_to_a_file_leads_somewhere() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README.read_text(encoding="utf-8"))
    broken = [link for link in links if "://" not in link and not (ROOT / link).exists()]
    assert broken == []


def test_the_python_example_runs() -> None:
    from torch import nn

    (block,) = re.findall(
        r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    namespace = {"network": nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten(), nn.Linear(8 * 30 * 30, 10))}
    exec(block, namespace)
