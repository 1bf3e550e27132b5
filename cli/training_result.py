"""What came of a run, in words and verdicts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cifar_report.analyzer.constraints import Verdict
    from cifar_report.trainer.run import Run


def summary(run: Run) -> str:
    """Return the result in a few lines: accuracy, its count, and a line per constraint."""
    metrics = run.metrics
    if metrics is None:
        raise ValueError(f"{run.folder} is not complete")
    lines = [
        f"test accuracy {metrics.accuracy:.2f} % ({metrics.correct:,} of {metrics.count:,} images), "
        f"last epoch of {metrics.epoch}, {metrics.seconds:.0f} s",
    ]
    if metrics.best_epoch != metrics.epoch:
        best = f"best epoch {metrics.best_epoch}: {metrics.best_accuracy:.2f} %"
        lines.append(f"{best}, chosen on the {metrics.best_on} images")
    if metrics.flip_test:
        accuracy = f"{metrics.flip_test.accuracy:.2f} % ({metrics.flip_test.correct:,})"
        lines.append(f"with mirror images {accuracy}, which is not the result")
    return "\n".join([*lines, *(_verdict_line(verdict) for verdict in verdicts(run))])


def verdicts(run: Run) -> tuple[Verdict, ...]:
    """Judge a complete run by its constraints."""
    from cifar_report.analyzer.constraints import judge, parse_constraint
    from cifar_report.trainer.measurements import measurements

    if run.metrics is None:
        raise ValueError(f"{run.folder} is not complete")
    constraints = [parse_constraint(text) for text in run.config.constraints]
    return judge(constraints, run.analysis, measurements(run))


def _verdict_line(verdict: Verdict) -> str:
    measured = verdict.measured if verdict.measured is not None else "-"
    margin = f"  margin {verdict.margin}" if verdict.margin is not None else ""
    return f"{verdict.state:<12} {verdict.constraint}  measured {measured}{margin}"
