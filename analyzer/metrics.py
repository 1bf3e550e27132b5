"""What a constraint can be about: named figures of an analysis, each with its evidence.

A reading without a value says why: `unknown`, with the operator to blame, or `not measured`, for what
only training tells. It is never 0.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from math import floor
from typing import TYPE_CHECKING

from cifar_report.analyzer import metrics_of_users
from cifar_report.analyzer.analysis import Analysis, ReceptiveField
from cifar_report.analyzer.errors import did_you_mean

if TYPE_CHECKING:
    from cifar_report.analyzer.coverage import Density

Measurements = Mapping[str, object]
"""What a training run tells, by metric: `test_accuracy` and `epochs` as numbers, `device` as a word,
`test_accuracy.history` as a value per epoch, `augmentation` as the rows of augmentation.json."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure, or why there is none."""

    value: float | None
    evidence: str
    measured: bool = True
    """False where the figure needs training that hasn't happened."""
    text: str | None = None
    """The figure as people write it, where that isn't just the number: `67x35`."""


def spell(figure: float) -> str:
    """Return a figure with thousands separators, decimals only where it has some."""
    return f"{int(figure):,}" if figure == int(figure) else f"{figure:,.2f}"


Read = Callable[[Analysis], Reading]

STATIC: dict[str, Read] = {}
"""Metrics of the network alone."""

TRAINED = {
    "test_accuracy": "accuracy on the whole test split after the last epoch [%]",
    "epochs": "epochs trained",
    "device": "what it was trained on",
    "augmentation": "the training images' pipeline in force",
}
"""Metrics of a training run."""

WITH_HISTORY = ("test_accuracy",)
"""Metrics that have a value per epoch."""

UNTRAINED = "it takes a training run: cifar-report train"

_STRIDED = re.compile(r"downsampling\.strided_\d+x\d+")


def _metric(name: str) -> Callable[[Read], Read]:
    def register(function: Read) -> Read:
        if name in STATIC:
            raise ValueError(f"there is a metric {name} already")
        STATIC[name] = function
        return function

    return register


def names() -> tuple[str, ...]:
    """Return the names of all metrics, users' own included."""
    return (*STATIC, "downsampling.strided_3x3", "layers", *TRAINED, *metrics_of_users.names())


def is_known(name: str) -> bool:
    """Return whether there is a metric of that name; users' own are looked up last."""
    built_in = name in STATIC or name in TRAINED or _STRIDED.fullmatch(name) is not None
    return built_in or name in metrics_of_users.names()


def read(metric: str, analysis: Analysis, measurements: Measurements) -> Reading:
    """Return a metric's figure for a network and, if it was trained, its run.

    Raises:
        UsageError: a user's own metric fails.
    """
    if metric in TRAINED:
        value = measurements.get(metric)
        if isinstance(value, int | float):
            return Reading(value, TRAINED[metric])
        return Reading(None, UNTRAINED, measured=False)
    if metric.startswith("layers("):
        return _layers(metric.removeprefix("layers(").removesuffix(")"), analysis)
    if metric in STATIC:
        return STATIC[metric](analysis)
    if _STRIDED.fullmatch(metric):
        return _count(metric)(analysis)
    found = metrics_of_users.value(metric, analysis)
    if isinstance(found, Reading):
        return found
    if found is None:
        return Reading(None, f"{metric} gives no figure for this network")
    return Reading(found, "a metric of your own")


def read_sustained(metric: str, epochs: int, lowest: bool, measurements: Measurements) -> Reading:
    """Return the worst of a metric's last epochs: the lowest, or the highest; too few have none."""
    history = measurements.get(f"{metric}.history")
    if not isinstance(history, Sequence):
        return Reading(None, UNTRAINED, measured=False)
    if len(history) < epochs:
        return Reading(None, f"{len(history)} epochs were trained, which can't sustain {epochs}")
    last = history[-epochs:]
    worst = min(last) if lowest else max(last)
    return Reading(worst, f"{'lowest' if lowest else 'highest'} of the last {epochs} epochs")


def _layers(kind: str, analysis: Analysis) -> Reading:
    """Count the layers of a type, and the calls of the function that does the same: Linear and linear."""
    from torch import nn

    function = kind.lower()
    found = [
        layer.name or layer.type
        for layer in analysis.layers
        if not layer.reused
        and (layer.type == kind if layer.kind == "module" else layer.type.replace("_", "") == function)
    ]
    if found:
        shown = "; ".join(found[:5]) + (f"; {len(found) - 5} more" if len(found) > 5 else "")
        return Reading(len(found), shown)
    types = sorted({layer.type for layer in analysis.layers if layer.kind == "module"})
    known = [*types, *(name for name in dir(nn) if isinstance(getattr(nn, name), type))]
    if kind in known:
        return Reading(0, f"no layer is one; there are {', '.join(types)}")
    near = get_close_matches(kind, known, n=2)
    hint = f"; {did_you_mean(near)}" if near else ""
    return Reading(None, f"neither torch.nn nor this network has a layer {kind}{hint}")


@_metric("params")
def _params(analysis: Analysis) -> Reading:
    largest = max(analysis.layers, key=lambda layer: layer.params)
    evidence = f"most in {largest.name or 'the network itself'} ({largest.type}): {largest.params:,}"
    return Reading(analysis.totals.params, evidence)


@_metric("trainable_params")
def _trainable(analysis: Analysis) -> Reading:
    return Reading(analysis.totals.trainable_params, f"{analysis.totals.frozen_params:,} are frozen")


def _cost(name: str) -> Read:
    def read_cost(analysis: Analysis) -> Reading:
        figure = getattr(analysis.totals, name)
        if figure is None:
            return Reading(None, f"no rule for {', '.join(analysis.totals.unknown_ops)}")
        largest = max(analysis.layers, key=lambda layer: getattr(layer, name) or 0)
        return Reading(figure, f"most in {largest.name}: {getattr(largest, name):,}")

    return read_cost


for _name in ("macs", "flops", "dmas", "elementwise"):
    STATIC[_name] = _cost(_name)


def _field(field: ReceptiveField, place: str, other: str) -> Reading:
    if field.size is None:
        return Reading(None, f"unknown {place}: {field.cause}")
    if not field.size:
        return Reading(None, "the input has no spatial axes")
    smallest = min(field.size)
    text = None if len(set(field.size)) == 1 else f"{smallest} ({'x'.join(map(str, field.size))})"
    if field.kind == "global":
        return Reading(smallest, f"{place}; global since {field.cause}", text=text)
    return Reading(smallest, f"{place}; {other}", text=text)


def _px(field: ReceptiveField) -> str:
    return "unknown" if field.size is None else "x".join(map(str, sorted(set(field.size)))) + " px"


@_metric("rf")
def _rf(analysis: Analysis) -> Reading:
    fields = analysis.totals.receptive_field
    return _field(fields.output, "at the output", f"{_px(fields.before_gap)} before global pooling")


@_metric("rf.before_gap")
def _rf_before_gap(analysis: Analysis) -> Reading:
    fields = analysis.totals.receptive_field
    return _field(fields.before_gap, "before global pooling", f"{_px(fields.output)} at the output")


OF_COVERAGE = ("rf.density", "rf.density.before_gap", "misalignment")
"""Metrics for which an analysis needs its coverage, which `coverage_measure` adds."""

_NO_COVERAGE = Reading(None, "the analysis was made without its coverage")


def _density(name: str, place: str) -> Read:
    def density(analysis: Analysis) -> Reading:
        if analysis.coverage is None:
            return _NO_COVERAGE
        found: Density = getattr(analysis.coverage, name)
        if found.share is None:
            return Reading(None, f"unknown {place}: {found.cause}")
        holes = analysis.coverage.holes
        since = f"; holes from {holes.layer} on" if holes else ""
        # Rounded down: 100 is for fields without any hole.
        return Reading(floor(10_000 * found.share) / 100, f"% of the field {place}{since}")

    return density


STATIC["rf.density"] = _density("output", "at the output")
STATIC["rf.density.before_gap"] = _density("before_gap", "before global pooling")


@_metric("misalignment")
def _misalignment(analysis: Analysis) -> Reading:
    if analysis.coverage is None:
        return _NO_COVERAGE
    alignment = analysis.coverage.alignment
    if alignment.unknown:
        return Reading(None, f"branches can't be compared at {', '.join(alignment.unknown[:3])}")
    worst = max(alignment.misaligned, key=lambda join: max(join.spread), default=None)
    if worst is None:
        return Reading(0, f"px between branches' centres; {alignment.compared} joins were compared")
    evidence = f"px between {' and '.join(worst.branches)}, which meet at {worst.layer}"
    return Reading(max(worst.spread), evidence)


def _count(*structures: str) -> Read:
    def count(analysis: Analysis) -> Reading:
        findings = [finding for finding in analysis.findings if finding.structure in structures]
        found = [" + ".join(finding.layers) for finding in findings if finding.found]
        if found:
            return Reading(len(found), "; ".join(found))
        misses = [f"not {' + '.join(f.layers)}: {f.detail}" for f in findings]
        return Reading(0, "; ".join(misses) or "no layer shows it")

    return count


for _name in ("depthwise_separable", "dilated", "gap", "fc_after_gap", "max_pool", "avg_pool",
              "strided_conv", "transposed_conv", "downsampling.max_pool", "downsampling.avg_pool",
              "downsampling.dilated", "downsampling.resized", "downsampling.patches"):  # fmt: skip
    STATIC[_name] = _count(_name)


@_metric("downsampling")
def _downsampling(analysis: Analysis) -> Reading:
    kinds = {f.structure for f in analysis.findings if f.structure.startswith("downsampling.")}
    return _count(*kinds)(analysis)


@_metric("blocks")
def _blocks(analysis: Analysis) -> Reading:
    details = [finding.detail for finding in analysis.findings if finding.structure == "block"]
    return Reading(len(details), "; ".join(details) or "no convolution works on a map")
