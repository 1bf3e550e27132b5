"""The `cifar-report` program: finds the command, and turns every way to fail into a message and an exit code.

    0    all constraints are met            70   a bug in cifar-report
    1    a constraint is not met            130  stopped with Ctrl-C
    2    wrong usage                        141  the reader of the output went away
    3    the network can't be loaded or run
    4    nothing is violated, but something is unknown or not measured

Commands are imported when they are called: `check` needs no training library, `--help` not even torch.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import click

from cifar_report.analyzer.errors import Problem

BUG_EXIT = 70
INTERRUPT_EXIT = 130
BROKEN_PIPE_EXIT = 141

EXTRAS = {
    "torchvision": "train",
    "albumentations": "train",
    "cv2": "train",
    "safetensors": "train",
    "sklearn": "digits",
    "jinja2": "report",
    "matplotlib": "report",
    "fvcore": "second-opinion",
    "torchscan": "second-opinion",
}
"""Which extra brings a library that serves only some commands."""


class Entry(NamedTuple):
    """A command that hasn't been imported yet."""

    target: str
    """`module:attribute`."""
    summary: str
    """Its line in `cifar-report --help`."""


COMMANDS = {
    "check": Entry("cifar_report.cli.check:check", "Check a network against a budget or an assignment."),
    "analyze": Entry(
        "cifar_report.cli.analyze:analyze", "Show every layer's shape, cost and receptive field."
    ),
    "compare": Entry(
        "cifar_report.cli.compare:compare", "Show costs, fields and structure of networks side by side."
    ),
    "draw": Entry("cifar_report.cli.draw:draw", "Draw a network: its graph and its receptive fields."),
    "models": Entry("cifar_report.cli.models:models", "List the built-in networks."),
    "assignments": Entry("cifar_report.cli.assignments:assignments", "List the built-in assignments."),
    "augment": Entry("cifar_report.cli.augment:augment", "Show what an augmentation does to images."),
    "train": Entry("cifar_report.cli.train:train", "Train a network; the run becomes a folder."),
    "evaluate": Entry("cifar_report.cli.evaluate:evaluate", "Measure the accuracy of trained weights again."),
    "report": Entry("cifar_report.cli.report:report", "Write README.md and report.html of a run."),
    "train-and-report": Entry(
        "cifar_report.cli.train_and_report:train_and_report", "Train a network and write its report."
    ),
}


class Program(click.Group):
    """A group whose commands are imported by name, and whose `main` never shows a traceback unasked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of their use, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command and give it the options that all of them have."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].target.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        if not any(parameter.name == "verbose" for parameter in command.params):
            command.params.append(verbose_option())
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; for a wrong name, say what it may have been."""
        name = args[0]
        if name in COMMANDS or name.startswith("-"):
            return super().resolve_command(ctx, args)
        message = f"no command {name!r}"
        near = difflib.get_close_matches(name.replace("_", "-"), COMMANDS, n=2)
        if near:
            message += f". Did you mean {' or '.join(near)}?"
        elif ".py" in name or ":" in name:
            message += f". Did you mean: cifar-report check {name}"
        else:
            message += f". Commands: {', '.join(COMMANDS)}"
        raise click.UsageError(message, ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands from their summaries, without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Read the command line, which prints for `--help` and `--version`."""
        with unread_output():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        with unread_output():
            return super().invoke(ctx)

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the program and exit with its code; `standalone_mode=False` lets errors through."""
        arguments = list(sys.argv[1:] if args is None else args)
        name = prog_name or "cifar-report"
        if not standalone_mode:
            return super().main(arguments, name, complete_var, standalone_mode=False, **extra)
        try:
            result = super().main(arguments, name, complete_var, standalone_mode=False, **extra)
        except Exception as error:
            sys.exit(explain(error, verbose=wants_traceback(arguments)))
        sys.exit(result if isinstance(result, int) else 0)


@contextmanager
def unread_output() -> Iterator[None]:
    """End quietly when the reader of the output has gone; click would exit with 1, an unmet constraint."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # What is still buffered has no reader: without this, Python complains at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(BROKEN_PIPE_EXIT) from None


def explain(error: Exception, *, verbose: bool) -> int:
    """Print what went wrong to standard error and return the exit code."""
    if verbose:
        click.echo("".join(traceback.format_exception(error)), err=True)
    if isinstance(error, Problem):
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    if isinstance(error, click.Abort):
        click.echo("stopped", err=True)
        return INTERRUPT_EXIT
    if isinstance(error, click.ClickException):
        return _explain_usage(error)
    library = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ModuleNotFoundError) and library in EXTRAS:
        click.echo(f"error: this command needs {library}, which is not installed", err=True)
        click.echo(f'  next:     pip install "cifar-report[{EXTRAS[library]}]"', err=True)
        return click.UsageError.exit_code
    return _explain_bug(error, verbose=verbose)


def _explain_usage(error: click.ClickException) -> int:
    """Print click's own errors in our form. Exit code 1 is taken, so all of them are wrong usage."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return error.exit_code
    context = getattr(error, "ctx", None)
    if context is not None:
        click.echo(context.get_usage(), err=True)
    click.echo(f"error: {error.format_message()}", err=True)
    if context is not None:
        click.echo(f"  next:     {context.command_path} --help", err=True)
    return click.UsageError.exit_code


def _explain_bug(error: Exception, *, verbose: bool) -> int:
    """Own up to an error that no message was written for."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    click.echo(
        f"error: this is a bug in cifar-report, not in your input: {type(error).__name__}: {error}", err=True
    )
    click.echo(f"  found:    in {Path(frame.filename).name}, line {frame.lineno}", err=True)
    if not verbose:
        click.echo("  next:     run it again with --verbose and report what it prints", err=True)
    return BUG_EXIT


def wants_traceback(arguments: Sequence[str]) -> bool:
    """Tell whether to print tracebacks: `--verbose` anywhere, or `CIFAR_REPORT_DEBUG` set."""
    before_separator = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--verbose" in before_separator or bool(os.environ.get("CIFAR_REPORT_DEBUG"))


def verbose_option() -> click.Option:
    """Return the option that `wants_traceback` looks for, so that every command accepts it."""
    return click.Option(
        ["--verbose"], is_flag=True, expose_value=False, help="Print Python's traceback of an error."
    )


HELP = """
Check an image network against a budget, train it, and write the report on it.

\b
MODEL is a file, a class or function in it, a module, a library's network, or a built-in name:
  model.py    model.py:Net    notebook.ipynb:Net    package.module:Net(num_classes=10)
  torchvision:resnet18    timm:NAME    hub:OWNER/REPO:NAME    document_003

\b
Examples:
  cifar-report check model.py --max-params 100000 --min-rf 52
  cifar-report analyze model.py:Net --style torchsummary
  cifar-report train-and-report --data digits --out reports/digits
  cifar-report report reports/digits

Results go to standard output, talk and progress to standard error.

\b
Exit codes:
  0  all constraints are met
  1  a constraint is not met
  2  wrong usage: command, option, file format or data folder
  3  the network can't be loaded or run
  4  nothing is violated, but something is unknown or not measured
"""


@click.group(
    "cifar-report",
    cls=Program,
    help=HELP,
    params=[verbose_option()],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="cifar-report", prog_name="cifar-report")
def main() -> None:
    """The program's entry point."""
