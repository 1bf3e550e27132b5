"""`cifar-report assignments`: what the built-in assignments ask for."""

from __future__ import annotations

from pathlib import Path

import click

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import rendered, result_console, talk, write_file, write_result
from cifar_report.cli.options import format_option, output_option

_EPILOG = """
\b
Examples:
  cifar-report assignments
  cifar-report assignments show eva6-s7-late
  cifar-report assignments show eva6-s7-late --format toml -o mine.toml
  cifar-report assignments new mine.toml
"""


@click.group(short_help="List the built-in assignments.", invoke_without_command=True, epilog=_EPILOG)
@click.pass_context
def assignments(context: click.Context) -> None:
    """List the built-in assignments; `show ID` prints one whole."""
    if context.invoked_subcommand is not None:
        return
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from cifar_report.analyzer.assignments import assignment_ids, load_assignment

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in ("Id", "Course", "Constraints"):
        table.add_column(title, no_wrap=title == "Id")
    for name in assignment_ids():
        assignment = load_assignment(name)
        table.add_row(*map(Text, (assignment.id, assignment.course, ", ".join(assignment.constraints))))
    write_result(rendered(table, width=result_console().width))


@assignments.command(short_help="Print one assignment.")
@click.argument("name", metavar="ID|FILE")
@format_option("text", "toml", help="How to print it; toml is a file to start from.")
@output_option
def show(name: str, style: str, output: Path | None) -> None:
    """Print an assignment's text and constraints."""
    from cifar_report.analyzer.assignments import assignment_text, load_assignment

    if style == "toml":
        write_result(assignment_text(name), output)
        return
    assignment = load_assignment(name)
    heading = f"{assignment.id}: {assignment.title}" + (
        f" ({assignment.course})" if assignment.course else ""
    )
    lines = [heading, "", assignment.prose, "", *(f"  {constraint}" for constraint in assignment.constraints)]
    write_result("\n".join(lines), output)


@assignments.command(short_help="Write a commented file to start from.")
@click.argument("file", type=click.Path(path_type=Path))
def new(file: Path) -> None:
    """Write a commented assignment to FILE, which mustn't be there yet."""
    from cifar_report.analyzer.assignments import template

    if file.exists():
        raise UsageError(f"{file} is there already", hint="name a new file, or remove that one first")
    write_file(template(file.stem), file)
    talk(f"wrote {file}; check a network by it: cifar-report check model.py --assignment {file}")
