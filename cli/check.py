"""`cifar-report check`: hold a network against constraints, with an exit code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import rendered, result_console, talk, write_result
from cifar_report.cli.options import (
    format_option,
    input_option,
    load_and_analyze,
    output_option,
    weights_option,
)
from cifar_report.cli.verdict_github import annotate, append_summary
from cifar_report.cli.verdict_junit import junit
from cifar_report.cli.verdict_settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cifar_report.analyzer.analysis import Analysis
    from cifar_report.analyzer.constraints import Constraint, Verdict

_HEADER = ("Constraint", "Verdict", "Required", "Measured", "Margin", "Evidence")
_MARKS = {"met": "✓ met", "not met": "✗ not met", "unknown": "? unknown", "not measured": "- not measured"}
_COLOURS = {"met": "green", "not met": "red", "unknown": "yellow", "not measured": "yellow"}
_EPILOG = """
\b
Examples:
  cifar-report check model.py --max-params 100000 --min-rf 52
  cifar-report check model.py:Net --require "params < 100k" --require "depthwise_separable >= 2"
  cifar-report check model.py --assignment eva6-s7-late
  cifar-report check torchvision:resnet18 --max-params 12M --input 3,224,224
  cifar-report check document_003 --max-macs 20M --format json -o verdict.json

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
) -> None:
    """Hold MODEL against constraints and exit with the verdict.

    MODEL is model.py, model.py:Net(num_classes=10), notebook.ipynb:Net, package.module:build(),
    torchvision:resnet18, timm:NAME, hub:OWNER/REPO:NAME or a built-in name. Bounds given as --max-... and
    --min-... are inclusive; an assignment's are as it writes them. MODEL and the options' defaults may stand
    in [tool.cifar-report] of pyproject.toml, here or above: model, input, assignment, require.
    """
    from cifar_report.analyzer.constraints import exit_code, judge

    settings = read_settings(Path.cwd())
    given = any(value is not None for value in (max_params, max_macs, min_rf, assignment)) or bool(require)
    if not given and (settings.require or settings.assignment):
        talk(f"constraints from {settings.source}")
        require, assignment = settings.require, settings.assignment or None
    if settings.inputs and context.get_parameter_source("inputs") is ParameterSource.DEFAULT:
        talk(f"--input {' --input '.join(settings.inputs)} from {settings.source}")
        inputs = settings.inputs
    constraints = _constraints(max_params, max_macs, min_rf, require, assignment)
    loaded, analysis = load_and_analyze(_model(model, settings), inputs, weights, values=False)
    verdicts = judge(constraints, analysis)
    code = exit_code(verdicts, allow_unknown=allow_unknown)
    if style == "json":
        text = _json(analysis, verdicts, code)
    elif style == "markdown":
        text = _markdown(verdicts)
    elif style == "github":
        text = annotate(verdicts, loaded.source, type(loaded.module).__name__)
        if os.environ.get("GITHUB_STEP_SUMMARY"):
            summary = Path(os.environ["GITHUB_STEP_SUMMARY"])
            append_summary(summary, _summary(analysis, verdicts).replace("\n", "; "), _markdown(verdicts))
    elif style == "junit":
        text = junit(analysis.model, verdicts)
    else:
        text = _table(verdicts, output)
    write_result(text, output)
    talk(_summary(analysis, verdicts))
    context.exit(code)


def _model(model: str | None, settings: Settings) -> str:
    if model is not None:
        return model
    if not settings.model:
        raise UsageError("there is no network to check", expected="MODEL, or model in [tool.cifar-report]")
    talk(f"{settings.model} from {settings.source}")
    return settings.model


def _constraints(
    max_params: str | None,
    max_macs: str | None,
    min_rf: str | None,
    require: Sequence[str],
    assignment: str | None,
) -> list[Constraint]:
    from cifar_report.analyzer.assignments import load_assignment
    from cifar_report.analyzer.constraints import parse_constraint

    bounds = (("--max-params", "params <=", max_params), ("--max-macs", "macs <=", max_macs),
              ("--min-rf", "rf >=", min_rf))  # fmt: skip
    constraints = []
    for option, start, bound in bounds:
        if bound is None:
            continue
        try:
            constraints.append(parse_constraint(f"{start} {bound}"))
        except UsageError:
            raise UsageError(
                f"{option} {bound!r} is not a number", expected="such as 100000, 100k or 1M"
            ) from None
    texts = [*(load_assignment(assignment).constraints if assignment else ()), *require]
    constraints += [parse_constraint(text) for text in texts]
    if not constraints:
        raise UsageError(
            "there is nothing to check",
            expected="--max-params, --max-macs, --min-rf, --require or --assignment, or require in "
            "[tool.cifar-report] of pyproject.toml",
            hint="to look at a network without judging it: cifar-report analyze MODEL",
        )
    return constraints


def _cells(verdict: Verdict) -> tuple[str, ...]:
    return (
        verdict.constraint,
        _MARKS[verdict.state],
        verdict.required,
        verdict.measured or verdict.state,
        verdict.margin or "-",
        verdict.evidence,
    )


def _json(analysis: Analysis, verdicts: Sequence[Verdict], code: int) -> str:
    data = {
        "model": analysis.model,
        "input_shape": analysis.input_shape,
        "exit_code": code,
        "unknown_ops": analysis.totals.unknown_ops,
        "verdicts": [verdict.to_dict() for verdict in verdicts],
    }
    return json.dumps(data, indent=1)


def _markdown(verdicts: Sequence[Verdict]) -> str:
    rows = [_HEADER, ("---", "---", "---:", "---:", "---:", "---"), *map(_cells, verdicts)]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)


def _cell(text: str) -> str:
    """Return a text that stays in its cell."""
    return text.replace("|", "\\|").replace("\r", " ").replace("\n", " ")


def _table(verdicts: Sequence[Verdict], output: Path | None) -> str:
    """Return the verdicts as a table: coloured on a terminal, plain elsewhere."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for title in _HEADER:
        right = title in ("Required", "Measured", "Margin")
        table.add_column(
            Text(title), justify="right" if right else "left", no_wrap=title in ("Verdict", "Margin")
        )
    console = result_console()
    for verdict in verdicts:
        cells = [Text(cell) for cell in _cells(verdict)]
        cells[1].stylize(_COLOURS[verdict.state])
        table.add_row(*cells)
    if output is None and console.is_terminal:
        with console.capture() as capture:
            console.print(table)
        return capture.get()
    return rendered(table, width=console.width)


def _summary(analysis: Analysis, verdicts: Sequence[Verdict]) -> str:
    counts = {state: sum(verdict.state == state for verdict in verdicts) for state in _MARKS}
    parts = [f"{count} {state}" for state, count in counts.items() if count]
    lines = [f"{analysis.model}: {', '.join(parts)}"]
    if analysis.totals.unknown_ops:
        lines.append(f"operators without a rule: {', '.join(analysis.totals.unknown_ops)}")
    return "\n".join(lines)
