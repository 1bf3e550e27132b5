"""One check from start to end: what was asked in, what to print and the exit code out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import talk
from cifar_report.cli.options import completed_for, load_and_analyze
from cifar_report.cli.verdict_github import annotate, append_summary
from cifar_report.cli.verdict_junit import junit
from cifar_report.cli.verdict_settings import Settings, read_settings
from cifar_report.cli.verdict_table import as_json, as_markdown, as_table, in_a_line

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Analysis
    from cifar_report.analyzer.assignments import Assignment
    from cifar_report.analyzer.constraints import Constraint, Verdict
    from cifar_report.analyzer.load import LoadedModel


@dataclass(frozen=True, slots=True)
class Request:
    """What `check` was asked, as it stands on the command line."""

    model: str | None
    max_params: str | None
    max_macs: str | None
    min_rf: str | None
    require: tuple[str, ...]
    assignment: str | None
    inputs: tuple[str, ...]
    """None for those of the settings, or else what the assignment or the network is about."""
    weights: Path | None
    style: str
    plain: bool
    """Not for a terminal: without colour."""
    allow_unknown: bool
    advise: bool
    """Look for changes that would meet what is missed."""

    @property
    def says_constraints(self) -> bool:
        """Whether any constraint is given; else the settings' count."""
        bounds = (self.max_params, self.max_macs, self.min_rf, self.assignment)
        return bool(self.require) or any(bound is not None for bound in bounds)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What came out of a check."""

    text: str
    """In the format that was asked for."""
    summary: str
    """In a line or two, for standard error."""
    code: int
    """The exit code."""
    verdicts: tuple[Verdict, ...]


def judged(request: Request) -> Judgement:
    """Do a check: read the settings, load, analyse, judge, and put it into words.

    Raises:
        UsageError: wrong settings, constraints or names.
        ModelError: the network can't be loaded or run.
    """
    from cifar_report.analyzer.constraints import exit_code, judge

    settings = read_settings(Path.cwd())
    assignment = _assignment(request, settings)
    constraints = _constraints(request, settings, assignment)
    model = _model(request, settings)
    inputs = request.inputs or _inputs(settings, assignment)
    loaded, analysis = load_and_analyze(model, inputs, request.weights, values=False)
    analysis = completed_for(constraints, loaded, analysis)
    verdicts = judge(constraints, analysis)
    code = exit_code(verdicts, allow_unknown=request.allow_unknown)
    text = _text(request, loaded, analysis, verdicts, code)
    if request.advise:
        from cifar_report.cli.advice import with_advice

        text = with_advice(text, request.style, request.plain, loaded, analysis, constraints)
    return Judgement(text, in_a_line(analysis, verdicts), code, verdicts)


def _assignment(request: Request, settings: Settings) -> Assignment | None:
    from cifar_report.analyzer.assignments import load_assignment

    name = request.assignment if request.says_constraints else settings.assignment or None
    return None if name is None else load_assignment(name)


def _constraints(request: Request, settings: Settings, assignment: Assignment | None) -> list[Constraint]:
    from cifar_report.analyzer.constraints import parse_constraint

    require = request.require
    if not request.says_constraints and (settings.require or settings.assignment):
        talk(f"constraints from {settings.source}")
        require = settings.require
    texts = [*(assignment.constraints if assignment else ()), *require]
    constraints = [*_bounds(request), *map(parse_constraint, texts)]
    if not constraints:
        raise UsageError(
            "there is nothing to check",
            expected="--max-params, --max-macs, --min-rf, --require or --assignment, or require in "
            "[tool.cifar-report] of pyproject.toml",
            hint="to look at a network without judging it: cifar-report analyze MODEL",
        )
    return constraints


def _bounds(request: Request) -> Iterator[Constraint]:
    from cifar_report.analyzer.constraints import parse_constraint

    bounds = (("--max-params", "params <=", request.max_params), ("--max-macs", "macs <=", request.max_macs),
              ("--min-rf", "rf >=", request.min_rf))  # fmt: skip
    for option, start, bound in bounds:
        if bound is None:
            continue
        try:
            yield parse_constraint(f"{start} {bound}")
        except UsageError:
            raise UsageError(
                f"{option} {bound!r} is not a number", expected="such as 100000, 100k or 1M"
            ) from None


def _model(request: Request, settings: Settings) -> str:
    if request.model is not None:
        return request.model
    if not settings.model:
        raise UsageError("there is no network to check", expected="MODEL, or model in [tool.cifar-report]")
    talk(f"{settings.model} from {settings.source}")
    return settings.model


def _inputs(settings: Settings, assignment: Assignment | None) -> tuple[str, ...]:
    """Return what the settings or the assignment say, in this order; empty where neither does."""
    if settings.inputs:
        talk(f"--input {' --input '.join(settings.inputs)} from {settings.source}")
        return settings.inputs
    shape = assignment.input_shape if assignment else None
    return (",".join(map(str, shape)),) if shape else ()


def _text(
    request: Request, loaded: LoadedModel, analysis: Analysis, verdicts: Sequence[Verdict], code: int
) -> str:
    if request.style == "json":
        return as_json(analysis, verdicts, code)
    if request.style == "markdown":
        return as_markdown(verdicts)
    if request.style == "junit":
        return junit(analysis.model, verdicts)
    if request.style == "github":
        if os.environ.get("GITHUB_STEP_SUMMARY"):
            heading = in_a_line(analysis, verdicts).replace("\n", "; ")
            append_summary(Path(os.environ["GITHUB_STEP_SUMMARY"]), heading, as_markdown(verdicts))
        return annotate(verdicts, loaded.source, type(loaded.module).__name__)
    return as_table(verdicts, plain=request.plain)
