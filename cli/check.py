"""`cifar-report check`: hold a network against constraints, with an exit code."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cifar_report.cli.console import talk, write_result
from cifar_report.cli.judgement import Request, judged
from cifar_report.cli.options import format_option, input_option, output_option, weights_option

_EPILOG = """
\b
Examples:
  cifar-report check model.py --max-params 100000 --min-rf 52
  cifar-report check model.py:Net --require "params < 100k" --require "depthwise_separable >= 2"
  cifar-report check model.py --assignment eva6-s7-late
  cifar-report check torchvision:resnet18 --max-params 12M --input 3,224,224
  cifar-report check document_003 --max-macs 20M --format json -o verdict.json
  cifar-report check model.py --assignment eva6-s7-late --watch
  cifar-report check model.py --require "rf > 52" --advise

\b
Exit codes: 0 all met, 1 a constraint is not met, 2 wrong usage, 3 the network can't be loaded or run,
4 nothing is violated, but something is unknown or not measured.
"""


@click.command(short_help="Check a network against a budget or an assignment.", epilog=_EPILOG)
@click.argument("model", required=False)
@click.option("--max-params", metavar="N", help="At most N parameters (100000, 100k, 1M).")
@click.option("--max-macs", metavar="N", help="At most N multiply-accumulates (20M).")
@click.option("--min-rf", metavar="N", help="A receptive field of at least N pixels, at the output.")
@click.option("--require", multiple=True, metavar="EXPR", help="A constraint, such as 'rf.before_gap > 44'.")
@click.option("--assignment", metavar="ID|FILE", help="All constraints of an assignment.")
@input_option
@weights_option
@format_option("table", "json", "markdown", "github", "junit", help="How to print the verdicts.")
@output_option
@click.option("--allow-unknown", is_flag=True, help="Exit with 0 where only unknown or unmeasured is left.")
@click.option("--advise", is_flag=True, help="Propose changes that meet what is missed, each one proven.")
@click.option("--watch", "watching", is_flag=True, help="Check again whenever a file is saved that was read.")
@click.pass_context
def check(
    context: click.Context,
    model: str | None,
    max_params: str | None,
    max_macs: str | None,
    min_rf: str | None,
    require: tuple[str, ...],
    assignment: str | None,
    inputs: tuple[str, ...],
    weights: Path | None,
    style: str,
    output: Path | None,
    allow_unknown: bool,
    advise: bool,
    watching: bool,
) -> None:
    """Hold MODEL against constraints and exit with the verdict.

    MODEL is model.py, model.py:Net(num_classes=10), notebook.ipynb:Net, package.module:build(),
    torchvision:resnet18, timm:NAME, hub:OWNER/REPO:NAME or a built-in name. Bounds given as --max-... and
    --min-... are inclusive; an assignment's are as it writes them. MODEL and the options' defaults may stand
    in [tool.cifar-report] of pyproject.toml, here or above: model, input, assignment, require.
    """
    request = Request(
        model=model,
        max_params=max_params,
        max_macs=max_macs,
        min_rf=min_rf,
        require=require,
        assignment=assignment,
        inputs=inputs,
        weights=weights,
        style=style,
        plain=output is not None,
        allow_unknown=allow_unknown,
        advise=advise,
    )
    if watching:
        from cifar_report.cli.main import wants_traceback
        from cifar_report.cli.watch import watch

        context.exit(watch(request, output, verbose=wants_traceback(sys.argv)))
    judgement = judged(request)
    write_result(judgement.text, output)
    talk(judgement.summary)
    context.exit(judgement.code)
