"""The table of torchscan as it was up to version 0.1: the module tree to a depth."""

from __future__ import annotations

from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.summary_figures import CONVENTIONS, UNKNOWN, extent, megabytes, scaled, warnings
from cifar_report.analyzer.summary_tree import Branch, opened, subtree, tree

_HEADER = ("Layer", "Type", "Output Shape", "Param #", "Receptive field")
_WIDTHS = (25, 18, 22, 12, 15)
_MARGIN = " " * 4


def torchscan_table(analysis: Analysis, depth: int = 1) -> str:
    """Return torchscan's table: modules to a depth, parameters plus buffers, receptive fields, costs.

    `Param #` is parameters plus buffers: a module at the given depth has those of everything below it,
    one above it only its own, so that the column adds up. `Receptive field` is that of the network's
    output with respect to the layer's *input* [px]. Costs are ours, and a line says what they count.
    """
    rows = [_row(branch, depth) for branch in opened(tree(analysis.layers), depth)]
    widths = [
        max(least, *(len(row[column]) for row in (_HEADER, *rows))) for column, least in enumerate(_WIDTHS)
    ]
    length = sum(widths) + len(_MARGIN) * (len(widths) - 1)
    return "\n".join(
        [
            "_" * length,
            _line(_HEADER, widths),
            "=" * length,
            *(_line(row, widths) for row in rows),
            "=" * length,
            *_totals(analysis, length),
            "_" * length,
        ]
    )


def _row(branch: Branch, depth: int) -> tuple[str, ...]:
    layer = branch.layer
    counted = subtree(branch) if layer.depth >= depth else (layer,)
    held = sum(each.params + each.buffers for each in counted)
    shape = UNKNOWN if layer.output_shape is None else str((-1, *layer.output_shape[1:]))
    name = layer.name.rpartition(".")[2] or layer.type.lower()
    return _art(layer.depth) + name, layer.type, shape, f"{held:,}", extent(layer.backward_field)


def _art(depth: int) -> str:
    if depth == 0:
        return ""
    return "├─" if depth == 1 else "|    " * (depth - 1) + "└─"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    return _MARGIN.join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip()


def _totals(analysis: Analysis, length: int) -> list[str]:
    totals = analysis.totals
    model = totals.param_bytes + totals.buffer_bytes
    return [
        f"Trainable params: {totals.trainable_params:,}",
        f"Non-trainable params: {totals.frozen_params:,}",
        f"Total params: {totals.params:,}",
        "-" * length,
        f"Model size (params + buffers): {megabytes(model)} Mb",
        f"Peak of activations: {megabytes(totals.peak_activation_bytes)} Mb",
        f"Total RAM usage (model + peak): {megabytes(model + totals.peak_activation_bytes)} Mb",
        "-" * length,
        f"Floating Point Operations on forward: {scaled(totals.flops, 'FLOPs')}",
        f"Multiply-Accumulations on forward: {scaled(totals.macs, 'MACs')}",
        f"Direct memory accesses on forward: {scaled(totals.dmas, 'DMAs')}",
        *(f"{cost}: {meaning}, batch of 1" for cost, meaning in CONVENTIONS.items()),
        "Receptive field: of the network's output, with respect to the layer's input [px]",
        *(f"{label}: {text}" for label, text in warnings(analysis)),
    ]
