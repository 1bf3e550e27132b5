"""`cifar-report assignments`: what the built-in assignments ask for."""

from __future__ import annotations

import click

from cifar_report.cli.console import rendered, result_console, write_result

_EPILOG = """
\b
Examples:
  cifar-report assignments
  cifar-report assignments show eva6-s7-late
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
def show(name: str) -> None:
    """Print an assignment's text and constraints."""
    from cifar_report.analyzer.assignments import load_assignment

    assignment = load_assignment(name)
    heading = f"{assignment.id}: {assignment.title}" + (
        f" ({assignment.course})" if assignment.course else ""
    )
    lines = [heading, "", assignment.prose, "", *(f"  {constraint}" for constraint in assignment.constraints)]
    write_result("\n".join(lines))
