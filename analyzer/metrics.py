"""What a constraint can be about: named figures of an analysis, each with its evidence.

A reading without a value says why: `unknown`, with the operator to blame, or `not measured`, for what
only training tells. It is never 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from cifar_report.analyzer.analysis import Analysis, ReceptiveField


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure, or why there is none."""

    value: float | None
    evidence: str
    measured: bool = True
    """False where the figure needs training that hasn't happened."""
    text: str | None = None
    """The figure as people write it, where that isn't just the number: `67x35`."""


Read = Callable[[Analysis], Reading]

STATIC: dict[str, Read] = {}
"""Metrics of the network alone."""

TRAINED = {
    "test_accuracy": "accuracy on the whole test split after the last epoch [%]",
    "epochs": "epochs trained",
}
"""Metrics of a training run."""


def _metric(name: str) -> Callable[[Read], Read]:
    def register(function: Read) -> Read:
        if name in STATIC:
            raise ValueError(f"there is a metric {name} already")
        STATIC[name] = function
        return function

    return register


def names() -> tuple[str, ...]:
    """Return the names of all metrics."""
    return (*STATIC, *TRAINED)


def read(metric: str, analysis: Analysis, measurements: Mapping[str, float]) -> Reading:
    """Return a metric's figure for a network and, if it was trained, its run."""
    if metric in TRAINED:
        if metric in measurements:
            return Reading(measurements[metric], TRAINED[metric])
        return Reading(None, "it takes a training run: cifar-report train", measured=False)
    return STATIC[metric](analysis)


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


def _count(structure: str) -> Read:
    def count(analysis: Analysis) -> Reading:
        findings = [finding for finding in analysis.findings if finding.structure == structure]
        found = [" + ".join(finding.layers) for finding in findings if finding.found]
        if found:
            return Reading(len(found), "; ".join(found))
        misses = [f"not {' + '.join(f.layers)}: {f.detail}" for f in findings]
        return Reading(0, "; ".join(misses) or "no layer shows it")

    return count


for _name in ("depthwise_separable", "dilated", "gap", "fc_after_gap", "max_pool", "avg_pool",
              "strided_conv", "transposed_conv"):  # fmt: skip
    STATIC[_name] = _count(_name)
