"""`cifar-report draw`: pictures of a network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import talk, write_result
from cifar_report.cli.options import input_option, load_and_analyze, output_option

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Analysis

_EPILOG = """
\b
Examples:
  cifar-report draw model.py -o network.svg
  cifar-report draw model.py -o network.md
  cifar-report draw document_003 --picture growth -o growth.svg
  cifar-report draw model.py --input 3,224,224 --picture boxes --image cat.jpg -o boxes.png
  cifar-report draw model.py --picture effective --weights trained.safetensors -o effective.png

\b
The file's ending is its format: .svg for all pictures; .md and .mmd, which are mermaid text, for the graph;
.png for the others. Without a file, SVG goes to standard output.
"""
_ENDINGS = {
    "graph": (".svg", ".md", ".mmd"),
    "growth": (".svg", ".png"),
    "boxes": (".svg", ".png"),
    "effective": (".svg", ".png"),
}


@click.command(short_help="Draw a network: its graph and its receptive fields.", epilog=_EPILOG)
@click.argument("model")
@input_option
@click.option(
    "--picture",
    type=click.Choice(list(_ENDINGS)),
    default="graph",
    show_default=True,
    help="Nodes and edges; the field over the layers; the fields of layers on an image; the gradient of "
    "one unit.",
)
@click.option(
    "--image",
    type=click.Path(path_type=Path),
    help="Picture to draw boxes on. For effective: what to measure on, a picture or a folder of them, "
    "instead of noise.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Load weights first; the effective field depends on them, the other pictures don't.",
)
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=16,
    show_default=True,
    help="For effective: how many images of noise to average over.",
)
@click.option(
    "--theme",
    type=click.Choice(["auto", "light", "dark"]),
    default="auto",
    show_default=True,
    help="Colours; auto follows the reader in a graph, and is light elsewhere.",
)
@output_option
def draw(
    model: str,
    inputs: tuple[str, ...],
    picture: str,
    image: Path | None,
    weights: Path | None,
    samples: int,
    theme: Any,
    output: Path | None,
) -> None:
    """Trace MODEL and draw it.

    MODEL is model.py, model.py:Net, model.py:build(), package.module:Net(num_classes=10) or a built-in
    name.
    """
    suffix = output.suffix.lower() if output else ".svg"
    if suffix not in _ENDINGS[picture]:
        raise UsageError(
            f"--picture {picture} can't be written as {output}",
            expected=f"a file that ends in {' or '.join(_ENDINGS[picture])}",
        )
    if image is not None and picture not in ("boxes", "effective"):
        raise UsageError(f"--image has no use for --picture {picture}", hint="leave it out")
    loaded, analysis = load_and_analyze(model, inputs, weights, values=picture == "effective")
    if picture == "graph":
        write_result(_graph(analysis, suffix, theme), output)
        return
    from cifar_report.reporter import field_pictures_files as files

    dark = theme == "dark"
    if picture == "growth":
        made = files.growth_file(analysis, suffix, dark=dark)
    elif picture == "boxes":
        made = files.boxes_file(analysis, suffix, image, dark=dark)
    else:
        with loaded.running():
            made = files.effective_file(loaded.module, analysis, suffix, image, count=samples, dark=dark)
    talk(made.words)
    write_result(made.content, output)


def _graph(analysis: Analysis, suffix: str, theme: Any) -> str:
    from cifar_report.reporter.network_graph_mermaid import network_mermaid
    from cifar_report.reporter.network_graph_svg import network_svg

    if suffix == ".svg":
        return network_svg(analysis, scheme=theme)
    text = network_mermaid(analysis)
    return f"```mermaid\n{text}```\n" if suffix == ".md" else text
