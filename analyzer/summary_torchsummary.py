"""The table of torchsummary: one row for each module call, in order of completion."""

from __future__ import annotations

from math import prod

from cifar_report.analyzer.analysis import Analysis, Layer
from cifar_report.analyzer.summary_figures import UNKNOWN, megabytes

_THIN = "-" * 64
_THICK = "=" * 64
_FLOAT = 4
"""torchsummary counts every element as four bytes."""


def torchsummary_table(analysis: Analysis) -> str:
    """Return torchsummary's table: type, output shape and own parameters of each module call.

    Containers and functions have no row. Sizes follow torchsummary's formulas, in 2^20 bytes: four
    bytes an element, and the rows' outputs twice, for the forward and the backward pass. Unlike
    torchsummary, parameters of a module that is called twice count once. Where the rows don't add up
    to the total, a last line says how many parameters lie elsewhere.
    """
    rows = [layer for layer in analysis.layers if layer.kind == "module" and not layer.container]
    totals = analysis.totals
    lines = [_THIN, _line("Layer (type)", "Output Shape", "Param #"), _THICK]
    lines += [
        _line(f"{layer.type}-{number}", _shape(layer), f"{layer.params:,}")
        for number, layer in enumerate(rows, 1)
    ]
    lines += [
        _THICK,
        f"Total params: {totals.params:,}",
        f"Trainable params: {totals.trainable_params:,}",
        f"Non-trainable params: {totals.frozen_params:,}",
        _THIN,
        *_sizes(analysis, rows),
        _THIN,
    ]
    elsewhere = totals.params - sum(layer.params for layer in rows)
    if elsewhere:
        lines.append(f"Of these in containers, which have no row: {elsewhere:,} params")
    return "\n".join(lines)


def _line(layer: str, shape: str, params: str) -> str:
    return f"{layer:>20}  {shape:>25} {params:>15}"


def _shape(layer: Layer) -> str:
    """Return `[-1, 50, 32, 32]`: the batch is -1."""
    return UNKNOWN if layer.output_shape is None else str([-1, *layer.output_shape[1:]])


def _sizes(analysis: Analysis, rows: list[Layer]) -> list[str]:
    """Return the four lines of sizes [MB]; those that need a shape nobody knows say so."""
    inputs = prod(analysis.input_shape) * _FLOAT
    params = analysis.totals.params * _FLOAT
    shapes = [layer.output_shape for layer in rows]
    outputs = sum(2 * prod(shape[1:]) * _FLOAT for shape in shapes if shape is not None)
    complete = None not in shapes
    return [
        f"Input size (MB): {megabytes(inputs)}",
        f"Forward/backward pass size (MB): {megabytes(outputs) if complete else UNKNOWN}",
        f"Params size (MB): {megabytes(params)}",
        f"Estimated Total Size (MB): {megabytes(inputs + outputs + params) if complete else UNKNOWN}",
    ]
