"""`cifar-report analyze`: every layer's shape, parameters, costs and receptive field."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import write_result
from cifar_report.cli.options import input_option, load_and_analyze, output_option, weights_option

if TYPE_CHECKING:
    from torch import nn

    from cifar_report.analyzer.analysis import Analysis
    from cifar_report.analyzer.load import LoadedModel

_EPILOG = """
\b
Examples:
  cifar-report analyze model.py
  cifar-report analyze model.py:Net --style torchsummary
  cifar-report analyze document_003 --style torchscan
  cifar-report analyze model.py --input 3,224,224 --format json -o analysis.json
  cifar-report analyze torchvision:vit_b_16 --input 3,224,224
  cifar-report analyze model.py --second-opinion
  cifar-report analyze model.py --depth 1
  cifar-report analyze model.py --density

\b
Conventions: MACs are multiply-accumulates of convolution, linear, matrix and attention products for one
image, FLOPs are twice that. Receptive fields are theoretical: not clipped at the image. Density is the
share of a field from which a path leads to the unit: dilations and wide strides leave holes.
"""


@click.command(short_help="Show every layer's shape, cost and receptive field.", epilog=_EPILOG)
@click.argument("model")
@input_option
@weights_option
@click.option(
    "--style",
    type=click.Choice(["tree", "torchsummary", "torchscan"]),
    help="Look of the table: ours (tree, the default), or that of another tool.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "markdown", "csv"]),
    default="table",
    show_default=True,
    help="json is the whole analysis.",
)
@click.option(
    "--second-opinion",
    is_flag=True,
    help="Ask fvcore and torchscan too, and say layer by layer why they differ.",
)
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    metavar="N",
    help="Close the tree below N levels: a closed module's costs are those of everything in it.",
)
@click.option("--density", is_flag=True, help="Add which share of its receptive field reaches each layer.")
@output_option
def analyze(
    model: str,
    inputs: tuple[str, ...],
    weights: Path | None,
    style: str | None,
    form: str,
    second_opinion: bool,
    depth: int | None,
    density: bool,
    output: Path | None,
) -> None:
    """Trace MODEL once and print what each layer costs and sees.

    MODEL is model.py, model.py:Net(num_classes=10), notebook.ipynb:Net, package.module:build(),
    torchvision:resnet18, timm:NAME, hub:OWNER/REPO:NAME or a built-in name.
    """
    from cifar_report.analyzer import summary

    if style and second_opinion:
        raise UsageError(
            f"--style {style} is a look of our table alone", hint="leave it or --second-opinion out"
        )
    if style and form != "table":
        raise UsageError(
            f"--style {style} is a look of the table, --format {form} has none", hint="give one of them"
        )
    if second_opinion and form == "csv":
        raise UsageError(
            "--second-opinion has no CSV", expected="--format table, markdown or json", found="--format csv"
        )
    plain = form == "csv" or style in ("torchsummary", "torchscan")
    if density and (second_opinion or (plain and form != "csv")):
        other = "--second-opinion" if second_opinion else f"--style {style}"
        raise UsageError(f"{other} has no column for --density", hint="leave one of them out")
    if depth is not None and (second_opinion or form != "table" or style not in (None, "tree")):
        raise UsageError("--depth is about our own tree", hint="leave --style, --format or --depth out")
    loaded, analysis = load_and_analyze(model, inputs, weights, values=second_opinion)
    if second_opinion:
        with loaded.running():
            text = _with_second_opinion(loaded.module, analysis, form)
        write_result(text, output)
        return
    if density or not plain:
        analysis = _with_coverage(loaded, analysis, density)
    writers = {
        "tree": lambda analysis: summary.tree_table(analysis, depth),
        "torchsummary": summary.torchsummary_table,
        "torchscan": summary.torchscan_table,
        "markdown": summary.markdown_table,
        "csv": summary.csv_table,
    }
    text = (
        analysis.to_json()
        if form == "json"
        else writers[style or ("tree" if form == "table" else form)](analysis)
    )
    write_result(text, output)


def _with_coverage(loaded: LoadedModel, analysis: Analysis, per_layer: bool) -> Analysis:
    """Return an analysis with density and alignment, for which the network is traced once more."""
    from cifar_report.analyzer.coverage_measure import measure_coverage

    with loaded.running():
        coverage = measure_coverage(loaded.module, list(analysis.inputs), per_layer=per_layer)
    return replace(analysis, coverage=coverage)


def _with_second_opinion(network: nn.Module, analysis: Analysis, form: str) -> str:
    """Return the comparison with two other tools; as JSON, beside the analysis itself."""
    from cifar_report.analyzer.second_opinion import second_opinion
    from cifar_report.analyzer.second_opinion_text import markdown_table, text_table

    opinion = second_opinion(network, analysis)
    if form == "json":
        return json.dumps({**analysis.to_dict(), "second_opinion": opinion.to_dict()}, indent=1)
    return markdown_table(opinion) if form == "markdown" else text_table(opinion)
