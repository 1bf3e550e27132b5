"""The command line that repeats a training."""

from __future__ import annotations

import shlex

import click

from cifar_report.cli.training_options import BESIDE_RESUME
from cifar_report.cli.training_request import Request

NOT_OF_THE_RUN = {
    *BESIDE_RESUME,
    "model",
    "config",
    "out",
    "overwrite",
    "seeds",
    "overfit_batch",
    "find_rate",
}
"""What a command that repeats the run does without, or has in another place."""


def command_of(request: Request) -> str:
    """Return a command line that repeats the run, with nothing left to defaults that may change."""
    parts = ["cifar-report", "train", request.model]
    for parameter in click.get_current_context().command.params:
        value = getattr(request, parameter.name or "", None)
        if parameter.name in NOT_OF_THE_RUN or _asks_for_nothing(parameter, value):
            continue
        for one in value if isinstance(value, tuple) else [value]:
            parts += [parameter.opts[0]] if one is True else [parameter.opts[0], _typed(one)]
    return shlex.join(parts)


def _asks_for_nothing(parameter: click.Parameter, value: object) -> bool:
    """Return whether an option is off; 0 stands for that only where it is the default."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return not value and not parameter.default and parameter.name != "seed"
    return not value


def _typed(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)
