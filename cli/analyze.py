"""`cifar-report analyze`: every layer's shape, parameters, costs and receptive field."""

from __future__ import annotations

from pathlib import Path

import click

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import write_result
from cifar_report.cli.options import analyze_model, input_option, output_option

_EPILOG = """
\b
Examples:
  cifar-report analyze model.py
  cifar-report analyze model.py:Net --style torchsummary
  cifar-report analyze document_003 --style torchscan
  cifar-report analyze model.py --input 3,224,224 --format json -o analysis.json

\b
Conventions: MACs are multiply-accumulates of convolution, linear, matrix and attention products for one
image, FLOPs are twice that. Receptive fields are theoretical: not clipped at the image.
"""


@click.command(short_help="Show every layer's shape, cost and receptive field.", epilog=_EPILOG)
@click.argument("model")
@input_option
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
@output_option
def analyze(model: str, shape: str, style: str | None, form: str, output: Path | None) -> None:
    """Trace MODEL once and print what each layer costs and sees.

    MODEL is model.py, model.py:Net, model.py:build(), package.module:Net(num_classes=10) or a built-in
    name.
    """
    from cifar_report.analyzer import summary

    if style and form != "table":
        raise UsageError(
            f"--style {style} is a look of the table, --format {form} has none", hint="give one of them"
        )
    analysis = analyze_model(model, shape)
    writers = {
        "tree": summary.tree_table,
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
