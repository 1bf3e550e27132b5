"""Several runs side by side, in words."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cifar_report.reporter.results import wilson
from cifar_report.reporter.tables import Column, Table
from cifar_report.reporter.training import describe as training_words
from cifar_report.reporter.wording import (
    NOT_MEASURED,
    count,
    duration,
    field_pixels,
    listing,
    millions,
    one_line,
    percent,
)

if TYPE_CHECKING:
    from cifar_report.analyzer.constraints import Verdict
    from cifar_report.reporter.facts import Facts
    from cifar_report.trainer.records import RunConfig

# Two-sided 95 % quantiles of Student's t for 1 to 30 degrees of freedom.
STUDENT_95 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that a comparison says."""

    title: str
    names: tuple[str, ...]
    figures: Table
    verdicts: Table | None
    """None where no run was judged."""
    differences: Table | None
    """Settings in which the runs differ; None where they don't."""
    classes: Table | None
    """None where the runs have different classes, or none was evaluated."""
    seeds: tuple[str, ...]
    limits: tuple[str, ...]
    version: str


def compare(runs: Sequence[Facts], names: Sequence[str], version: str) -> Comparison:
    """Put runs side by side.

    Args:
        runs: at least two.
        names: what to call each, all different.
        version: of this program.
    """
    return Comparison(
        title=f"{len(runs)} runs side by side",
        names=tuple(names),
        figures=_figures(runs, names),
        verdicts=_verdicts(runs, names),
        differences=_differences(runs, names),
        classes=_classes(runs, names),
        seeds=seed_sentences(runs, names),
        limits=_limits(runs),
        version=version,
    )


def mean_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Return mean, standard deviation and half the 95 % interval of the mean, by Student's t.

    Args:
        values: at least two.
    """
    mean, deviation = statistics.fmean(values), statistics.stdev(values)
    freedom = len(values) - 1
    quantile = STUDENT_95[freedom - 1] if freedom <= len(STUDENT_95) else 1.96
    return mean, deviation, quantile * deviation / math.sqrt(len(values))


def seed_sentences(runs: Sequence[Facts], names: Sequence[str]) -> tuple[str, ...]:
    """Say mean and interval of runs that differ in nothing but their seed."""
    groups: dict[str, list[int]] = {}
    for place, facts in enumerate(runs):
        if facts.run.metrics is not None:
            groups.setdefault(repr(_recipe(facts.run.config)), []).append(place)
    said = [_seed_sentence(runs, names, places) for places in groups.values() if len(places) > 1]
    return tuple(filter(None, said)) or (
        "No two of these runs are the same recipe with another seed, so how much the seed matters is not"
        " known.",
    )


def _seed_sentence(runs: Sequence[Facts], names: Sequence[str], places: Sequence[int]) -> str:
    seeds = [runs[place].run.config.seed for place in places]
    if len(set(seeds)) < len(seeds):
        return ""
    accuracies = [metrics.accuracy for place in places if (metrics := runs[place].run.metrics)]
    mean, deviation, half = mean_interval(accuracies)
    return (
        f"{listing([names[place] for place in places])} are one recipe with the seeds"
        f" {listing([str(seed) for seed in seeds])}: mean {percent(mean)}, standard deviation"
        f" {deviation:.2f}, 95 % interval of the mean {mean - half:.2f} to {mean + half:.2f} % (Student's t)."
    )


def _recipe(config: RunConfig) -> RunConfig:
    """Return what makes two runs the same but for the seed."""
    return replace(config, seed=0, command="", device="", data_source="", processes=1, extra={}, precision="")


def _side_by_side(
    caption: str, heading: str, names: Sequence[str], rows: Sequence[tuple[str, Sequence[str]]]
) -> Table:
    columns = (Column(heading), *(Column(one_line(name), right=True) for name in names))
    return Table(caption, columns, tuple((title, *cells) for title, cells in rows))


def _figures(runs: Sequence[Facts], names: Sequence[str]) -> Table:
    def row(title: str, value: Callable[[Facts], str]) -> tuple[str, list[str]]:
        return title, [value(facts) for facts in runs]

    rows = [
        row("Network", lambda facts: one_line(facts.run.config.model)),
        row("Data set", lambda facts: one_line(facts.run.config.data.name)),
        row("Test accuracy, last epoch", _accuracy),
        row("95 % interval, test images alone", _interval),
        row("Best epoch's accuracy", _best),
        row("Test loss", lambda f: f"{f.run.metrics.loss:.4f}" if f.run.metrics else NOT_MEASURED),
        row("Calibration error", _calibration_error),
        row("Parameters", lambda facts: count(facts.run.analysis.totals.params)),
        row("MACs", lambda facts: millions(facts.run.analysis.totals.macs, "")),
        row("Receptive field", lambda f: field_pixels(f.run.analysis.totals.receptive_field.output)),
        row("Epochs done", _epochs),
        row("Seed", lambda facts: str(facts.run.config.seed)),
        row("Training time", lambda f: duration(sum(epoch.seconds for epoch in f.run.history))),
        row("SHA-256 of the weights, first 12", lambda f: (f.weights_sha256 or NOT_MEASURED)[:12]),
    ]
    return _side_by_side("The runs in figures", "Figure", names, rows)


def _accuracy(facts: Facts) -> str:
    return percent(facts.run.metrics.accuracy if facts.run.metrics else None)


def _interval(facts: Facts) -> str:
    if facts.run.metrics is None:
        return NOT_MEASURED
    low, high = wilson(facts.run.metrics.correct, facts.run.metrics.count)
    return f"{low:.2f} to {high:.2f} %"


def _best(facts: Facts) -> str:
    metrics = facts.run.metrics
    if metrics is None:
        return NOT_MEASURED
    return f"{percent(metrics.best_accuracy)}, epoch {metrics.best_epoch}, on {metrics.best_on} images"


def _epochs(facts: Facts) -> str:
    config = facts.run.config
    before = f", {config.epochs_before:,} before" if config.epochs_before else ""
    return f"{len(facts.run.history):,} of {config.epochs:,}{before}"


def _calibration_error(facts: Facts) -> str:
    metrics = facts.run.metrics
    known = metrics.calibration if metrics else None
    return f"{100 * known.error:.2f} points" if known else NOT_MEASURED


def _verdicts(runs: Sequence[Facts], names: Sequence[str]) -> Table | None:
    constraints = dict.fromkeys(verdict.constraint for facts in runs for verdict in facts.verdicts)
    if not constraints:
        return None
    found = [{verdict.constraint: verdict for verdict in facts.verdicts} for facts in runs]
    rows = []
    for constraint in constraints:
        judged = [of_run.get(constraint) for of_run in found]
        cells = [
            "not asked"
            if verdict is None
            else f"{verdict.state}: {one_line(verdict.measured or 'no figure')}"
            for verdict in judged
        ]
        rows.append((one_line(constraint), cells))
    return _side_by_side("Every constraint, and what each run makes of it", "Constraint", names, rows)


def _judged(verdict: Verdict | None) -> str:
    if verdict is None:
        return "not asked"
    return f"{verdict.state}: {one_line(verdict.measured)}" if verdict.measured else verdict.state


def _differences(runs: Sequence[Facts], names: Sequence[str]) -> Table | None:
    settings = [{row[0]: row[1] for row in training_words(facts.run).hyperparameters.rows} for facts in runs]
    titles = dict.fromkeys(title for of_run in settings for title in of_run)
    rows = [(title, [of_run.get(title, "none") for of_run in settings]) for title in titles]
    rows = [(title, cells) for title, cells in rows if len(set(cells)) > 1]
    if not rows:
        return None
    return _side_by_side("Settings in which the runs differ", "Setting", names, rows)


def _classes(runs: Sequence[Facts], names: Sequence[str]) -> Table | None:
    evaluated = [facts.run.metrics for facts in runs if facts.run.metrics]
    if not evaluated or len({facts.run.config.data.classes for facts in runs}) > 1:
        return None
    rows = [
        (
            one_line(name),
            [
                percent(facts.run.metrics.per_class[place].accuracy if facts.run.metrics else None)
                for facts in runs
            ],
        )
        for place, name in enumerate(runs[0].run.config.data.classes)
    ]
    return _side_by_side("Accuracy of each class", "Class", names, rows)


def _limits(runs: Sequence[Facts]) -> tuple[str, ...]:
    limits = ["Every accuracy is of the last epoch. Two runs whose intervals overlap may differ by chance."]
    if len({facts.run.config.data.test_hash for facts in runs}) > 1:
        limits.append("The runs were tested on different images: their accuracies don't compare.")
    if len({facts.run.config.data.train_hash for facts in runs}) > 1:
        limits.append("The runs were trained on different images.")
    if any(facts.run.metrics is None for facts in runs):
        limits.append("Some of the runs are not complete.")
    return tuple(limits)
