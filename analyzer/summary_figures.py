"""How a single figure prints, and the totals that every style shares."""

from __future__ import annotations

from collections.abc import Iterable

from cifar_report.analyzer.analysis import Analysis, ReceptiveField
from cifar_report.analyzer.summary_coverage import coverage_lines

UNKNOWN = "unknown"
NOTHING = "-"

CONVENTIONS = {
    "MACs": "convolution, linear, matrix and attention products",
    "FLOPs": "2 x MACs",
    "DMAs": "elements read + elements written",
}
"""What each cost counts, for a batch of one; printed wherever one stands."""

_RUNGS = {
    "meta": "meta tensors: shapes only, no arithmetic",
    "fake": "fake tensors: shapes only, no arithmetic",
    "real": "real tensors on the CPU",
}


def count(value: int | None) -> str:
    """Return `86,816`, or `unknown` for None."""
    return UNKNOWN if value is None else f"{value:,}"


def scaled(value: int | None, unit: str) -> str:
    """Return `19.19 MMACs` for 19,194,880 MACs, or `unknown` for None."""
    if value is None:
        return UNKNOWN
    for factor, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.2f} {prefix}{unit}"
    return f"{value} {unit}"


def megabytes(size: float) -> str:
    """Return bytes as `0.33`, in units of 2^20 bytes, the ones that torchsummary calls MB."""
    return f"{size / 2**20:.2f}"


def shape(sizes: tuple[int, ...] | None) -> str:
    """Return `1x32x16x16`; a tensor without axes is a `scalar`, None is `unknown`."""
    if sizes is None:
        return UNKNOWN
    return "x".join(map(str, sizes)) or "scalar"


def per_axis(values: tuple[float, ...]) -> str:
    """Return `3` when all axes agree, else `5x3` in the order of the axes."""
    texts = [str(value) if isinstance(value, int) else f"{value:g}" for value in values]
    return texts[0] if len(set(texts)) == 1 else "x".join(texts)


def size(field: ReceptiveField) -> str:
    """Return a receptive field's size [px]: `67`, `5x3`, `global`, `unknown`, `-` without axes."""
    if field.kind == "global":
        return "global"
    if field.kind == "unknown" or field.size is None:
        return UNKNOWN
    return per_axis(field.size) if field.size else NOTHING


def extent(field: ReceptiveField) -> str:
    """Return the size with `≤` before it where it is only the largest, because units differ."""
    return size(field) if field.uniform else f"≤{size(field)}"


def stride(field: ReceptiveField) -> str:
    """Return the distance between neighbouring units' fields [px]."""
    if field.kind == "unknown":
        return UNKNOWN
    return per_axis(field.stride) if field.stride else NOTHING


def add(values: Iterable[int | None]) -> int | None:
    """Return the sum, None when any part is unknown."""
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total


def totals(analysis: Analysis) -> list[tuple[str, str]]:
    """Return the network's totals as (label, text) with their conventions, warnings last."""
    sums = analysis.totals
    fields = sums.receptive_field
    lines = [
        (
            "Parameters",
            f"{sums.params:,} ({sums.trainable_params:,} trainable, {sums.frozen_params:,} frozen); "
            f"buffers {sums.buffers:,}",
        ),
        ("MACs", f"{count(sums.macs)} ({CONVENTIONS['MACs']})"),
        (
            "FLOPs",
            f"{count(sums.flops)} ({CONVENTIONS['FLOPs']}); elementwise, normalisation and pooling apart: "
            f"{count(sums.elementwise)}",
        ),
        ("DMAs", f"{count(sums.dmas)} ({CONVENTIONS['DMAs']})"),
        ("Intensity", f"{rate(sums.intensity)} FLOP/B (all operations over all bytes moved, uncached)"),
        (
            "Receptive field",
            f"{_described(fields.before_gap)} before global pooling; "
            f"{_described(fields.output)} at the output",
        ),
        *coverage_lines(analysis.coverage),
        (
            "Memory [MB]",
            f"parameters {megabytes(sums.param_bytes)}, buffers {megabytes(sums.buffer_bytes)}, "
            f"activations {megabytes(sums.activation_bytes)}, "
            f"of these {megabytes(sums.peak_activation_bytes)} at one time",
        ),
        ("Traced", f"input {shape(analysis.input_shape)}, batch of 1, on {_RUNGS[analysis.rung]}"),
    ]
    return lines + warnings(analysis)


def rate(figure: float | None) -> str:
    """Return a ratio with two decimals; None is unknown."""
    return "unknown" if figure is None else f"{figure:.2f}"


def warnings(analysis: Analysis) -> list[tuple[str, str]]:
    """Return what a reader of the figures must know: modules never called, operators without a rule."""
    lines = []
    if analysis.uncalled:
        lines.append(("Never called", ", ".join(analysis.uncalled)))
    if analysis.totals.unknown_ops:
        names = ", ".join(analysis.totals.unknown_ops)
        lines.append(("WARNING", f"no rule for {names}: the figures they touch are unknown"))
    return lines


def _described(field: ReceptiveField) -> str:
    """Return a field in words: size, visible part, what made it global or unknown."""
    text = extent(field)
    if field.kind != "local":
        return f"{text} (because of {field.cause})" if field.cause else text
    if field.visible and field.visible != field.size:
        return f"{text} px ({per_axis(field.visible)} of it on the image)"
    return f"{text} px"
