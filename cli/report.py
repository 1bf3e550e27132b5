"""`cifar-report report`: the report of a run that is there already, or a page that compares several."""

from __future__ import annotations

from pathlib import Path

import click

from cifar_report.analyzer.errors import UsageError

EPILOG = """
\b
Examples:
  cifar-report report runs/digits --out reports/digits
  cifar-report report runs/digits --format latex --format csv
  cifar-report report runs/digits --inline --sections verdict,results,limits
  cifar-report report runs/seed0 runs/seed1 runs/seed2 --out comparison

\b
--template-dir names a folder with a file such as report.md.j2:
  {% extends "cifar-report/report.md.j2" %}
  {% block limits %}As agreed with my tutor.{% endblock %}

\b
Who hands it in, from the nearest pyproject.toml:
  [tool.cifar-report.author]
  name = "Ada Lovelace"
  batch = "ERA V3"
  links = { GitHub = "https://github.com/ada" }
"""
FORMATS = ("markdown", "html", "latex", "pdf", "csv", "json")


@click.command(epilog=EPILOG)
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option(
    "--out",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder for the report; the run folder itself if not given. Needed to compare runs.",
)
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    default=("markdown", "html"),
    show_default=True,
    help="What to write; again for more. pdf needs a Chromium.",
)
@click.option("--inline", is_flag=True, help="README.md without pictures: words, tables and text plots.")
@click.option("--front-matter", is_flag=True, help="Begin README.md with a Hugging Face model card's YAML.")
@click.option("--sections", metavar="NAME,...", default="", help="Only these, in this order.")
@click.option(
    "--template-dir",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Folder with templates of your own, which replace single sections.",
)
def report(
    runs: tuple[Path, ...],
    out: Path | None,
    formats: tuple[str, ...],
    inline: bool,
    front_matter: bool,
    sections: str,
    template_dir: Path | None,
) -> None:
    """Write README.md and report.html of RUN, a folder that `train` wrote.

    Nothing is trained again: everything comes from the folder's files, and from the network that it names,
    with the folder's weights. Of several runs, one page shows them side by side. The paths of what was
    written are printed.
    """
    from cifar_report.cli.author_settings import find_author
    from cifar_report.reporter.comparison import write_comparison
    from cifar_report.reporter.sections import choose
    from cifar_report.reporter.write import Wishes, write_report

    if len(runs) > 1:
        if out is None:
            raise UsageError("where to write the comparison of several runs isn't said", hint="add --out DIR")
        files: tuple[Path, ...] = write_comparison(runs, out, templates=template_dir)
    else:
        wishes = Wishes(
            formats=tuple(dict.fromkeys(formats)),
            sections=choose([name.strip() for name in sections.split(",") if name.strip()]),
            author=find_author(Path.cwd()),
            templates=template_dir,
            inline=inline,
            front_matter=front_matter,
        )
        files = write_report(runs[0], out, wishes).files
    for path in files:
        click.echo(path)
