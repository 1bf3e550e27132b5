"""`cifar-report train`: a network becomes a run folder."""

from __future__ import annotations

from typing import Any

import click

from cifar_report.cli.seeds import run_seeds, several
from cifar_report.cli.training import leads, run_training
from cifar_report.cli.training_options import training_options
from cifar_report.cli.training_request import Request
from cifar_report.cli.training_result import summary, verdicts
from cifar_report.cli.trials import is_trial, try_out

EPILOG = """
\b
Examples:
  cifar-report train --data digits
  cifar-report train model.py:Net --epochs 40 --assignment eva6-s7-late --out runs/net
  cifar-report train model.py --data pictures/ --lr 0.1 --require 'test_accuracy >= 90'
  cifar-report train model.py --find-lr
  cifar-report train model.py --val 5000 --ema 0.999 --mixup 0.2 --config settings.toml
  cifar-report train model.py --seeds 0-4 --out runs/five
  cifar-report train --resume runs/net
  torchrun --nproc-per-node 2 -m cifar_report.cli train model.py --out runs/net

\b
Exit codes: 0 trained, all constraints met; 1 one is not met; 2 wrong usage or data;
3 the network fails or its loss is not finite; 4 a constraint's figure is unknown, or --find-lr finds no rate;
130 stopped with Ctrl-C.
"""


@click.command(epilog=EPILOG)
@training_options
@click.pass_context
def train(context: click.Context, /, **values: Any) -> None:
    """Train MODEL and evaluate it on every test image after each epoch.

    MODEL is a file, model.py:Net, a module or a built-in name, document_003 if not given. Images go
    in as (N, 3, 32, 32), augmented as the assignment asks. Everything about the run lies in its
    folder, from which `cifar-report report` writes the report.
    """
    from cifar_report.analyzer.constraints import exit_code

    request = Request(**values)
    if is_trial(request):
        context.exit(try_out(request))
    if several(request):
        context.exit(exit_code(run_seeds(request)))
    run = run_training(context, request)
    if leads():
        click.echo(summary(run))
        click.echo(run.folder)
    context.exit(exit_code(verdicts(run)))
