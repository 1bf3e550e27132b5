"""`cifar-report report`: the report of a run that is there already."""

from __future__ import annotations

from pathlib import Path

import click

EPILOG = """
\b
Example:
  cifar-report report runs/digits --out reports/digits
"""


@click.command(epilog=EPILOG)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for README.md, report.html and figures/; the run folder itself if not given.",
)
def report(run: Path, out: Path | None) -> None:
    """Write README.md and report.html of RUN, a folder that `train` wrote.

    Nothing is trained or measured again: everything comes from the folder's files. The paths of both
    files are printed.
    """
    from cifar_report.reporter.write import write_report

    paths = write_report(run, out)
    click.echo(paths.readme)
    click.echo(paths.html)
