"""`cifar-report train-and-report`: from a network to its report."""

from __future__ import annotations

from typing import Any

import click

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.seeds import several
from cifar_report.cli.training import leads, run_training
from cifar_report.cli.training_options import training_options
from cifar_report.cli.training_request import Request
from cifar_report.cli.training_result import summary, verdicts
from cifar_report.cli.trials import is_trial

EPILOG = """
\b
Examples:
  cifar-report train-and-report --data digits
  cifar-report train-and-report model.py --epochs 60 --assignment eva6-s7-late --out submission

\b
The exit codes are those of `cifar-report train`.
"""


@click.command("train-and-report", epilog=EPILOG)
@training_options
@click.pass_context
def train_and_report(context: click.Context, /, **values: Any) -> None:
    """Analyse and train MODEL, and write README.md and report.html into the run's folder.

    The same as `train` followed by `report`.
    """
    from cifar_report.analyzer.constraints import exit_code
    from cifar_report.reporter.write import write_report

    request = Request(**values)
    if is_trial(request):
        raise UsageError(
            "--overfit-batch and --find-lr begin no run that a report could be of",
            hint="cifar-report train with the same options",
        )
    if several(request):
        raise UsageError(
            "a report is of one run", expected="--seed", hint="cifar-report train --seeds, then report each"
        )
    run = run_training(context, request)
    if leads():
        paths = write_report(run.folder)
        click.echo(summary(run))
        click.echo(paths.readme)
        click.echo(paths.html)
    context.exit(exit_code(verdicts(run)))
