"""Several networks side by side: costs, receptive fields and structure, with the best of each row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from cifar_report.analyzer import metrics
from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.summary_figures import UNKNOWN, extent, megabytes

Better = Literal["lower", "higher", "neither"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One network's figure."""

    value: float | None
    """None is unknown."""
    text: str
    """As people read it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One figure of every network."""

    label: str
    better: Better
    """Whether few or many are wanted; `neither` for structure, which an assignment may want either way."""
    figures: tuple[Figure, ...]

    @property
    def best(self) -> tuple[bool, ...]:
        """Which networks have the best figure; none where all have the same or one is unknown."""
        values = [figure.value for figure in self.figures]
        known = [value for value in values if value is not None]
        if self.better == "neither" or len(known) < len(values) or len(set(known)) == 1:
            return (False,) * len(values)
        wanted = min(known) if self.better == "lower" else max(known)
        return tuple([value == wanted for value in values])

    @property
    def differences(self) -> tuple[float | None, ...]:
        """How far each figure is from the first one [%]; None for the first, and where that is no number."""
        first = self.figures[0].value
        return None, *[
            None if first in (None, 0) or figure.value is None else 100 * (figure.value - first) / first
            for figure in self.figures[1:]
        ]


Read = Callable[[Analysis], Figure]


def compare(analyses: Sequence[Analysis]) -> tuple[Row, ...]:
    """Return every row for networks that were analysed, in their order."""
    return tuple(
        [Row(label, better, tuple([read(one) for one in analyses])) for label, better, read in _ROWS]
    )


def _counted(metric: str) -> Read:
    def read(analysis: Analysis) -> Figure:
        value = metrics.read(metric, analysis, {}).value
        return Figure(value, UNKNOWN if value is None else f"{value:,.0f}")

    return read


def _bytes(*names: str) -> Read:
    def read(analysis: Analysis) -> Figure:
        size = sum(getattr(analysis.totals, name) for name in names)
        return Figure(size, megabytes(size))

    return read


def _field(name: Literal["before_gap", "output"]) -> Read:
    def read(analysis: Analysis) -> Figure:
        field = getattr(analysis.totals.receptive_field, name)
        metric = "rf" if name == "output" else "rf.before_gap"
        return Figure(metrics.read(metric, analysis, {}).value, extent(field))

    return read


def _layers(analysis: Analysis) -> Figure:
    number = sum(not layer.container for layer in analysis.layers)
    return Figure(number, f"{number:,}")


_ROWS: tuple[tuple[str, Better, Read], ...] = (
    ("Parameters", "lower", _counted("params")),
    ("Trainable parameters", "neither", _counted("trainable_params")),
    ("MACs", "lower", _counted("macs")),
    ("FLOPs", "lower", _counted("flops")),
    ("Elementwise operations", "lower", _counted("elementwise")),
    ("DMAs", "lower", _counted("dmas")),
    ("Weights and buffers [MB]", "lower", _bytes("param_bytes", "buffer_bytes")),
    ("Activations [MB]", "lower", _bytes("activation_bytes")),
    ("Activations at one time [MB]", "lower", _bytes("peak_activation_bytes")),
    ("Receptive field before GAP [px]", "higher", _field("before_gap")),
    ("Receptive field at the output [px]", "higher", _field("output")),
    ("Depthwise separable convolutions", "neither", _counted("depthwise_separable")),
    ("Dilated convolutions", "neither", _counted("dilated")),
    ("Strided convolutions", "neither", _counted("strided_conv")),
    ("Max pools", "neither", _counted("max_pool")),
    ("Global average pooling (GAP)", "neither", _counted("gap")),
    ("Fully connected after GAP", "neither", _counted("fc_after_gap")),
    ("Layers", "neither", _layers),
)
