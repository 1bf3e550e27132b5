"""The module tree of an analysis, and our own table of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cifar_report.analyzer.analysis import Analysis, Layer
from cifar_report.analyzer.summary_coverage import density_cell
from cifar_report.analyzer.summary_figures import (
    NOTHING,
    add,
    count,
    extent,
    shape,
    stride,
    totals,
)

_HEADER = ("Layer", "Type", "Output", "Params", "MACs", "Field", "Stride")
_DENSITY = "Density"
_LEFT = 3
"""Columns of words, which stand left; figures stand right."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A module call with the calls and functions inside it."""

    layer: Layer
    children: tuple[Branch, ...]


def tree(layers: Iterable[Layer]) -> tuple[Branch, ...]:
    """Return the roots of the call tree, rebuilt from layers in order of completion and their depths.

    A call completes right after the deeper ones inside it, so those are the ones still loose before it.
    """
    loose: list[Branch] = []
    for layer in layers:
        first = len(loose)
        while first and loose[first - 1].layer.depth > layer.depth:
            first -= 1
        loose[first:] = [Branch(layer, tuple(loose[first:]))]
    return tuple(loose)


def subtree(branch: Branch) -> Iterator[Layer]:
    """Yield the layer and everything inside it, parents first."""
    yield branch.layer
    for child in branch.children:
        yield from subtree(child)


def subtree_sums(layers: Iterable[Layer], figure: str) -> dict[int, int | None]:
    """Return a figure of every layer with everything inside it, by the layer's index; None where unknown."""
    sums: dict[int, int | None] = {}

    def visit(branch: Branch) -> int | None:
        inside = [visit(child) for child in branch.children]
        sums[branch.layer.index] = total = add([getattr(branch.layer, figure), *inside])
        return total

    for root in tree(layers):
        visit(root)
    return sums


def opened(branches: Iterable[Branch], depth: int) -> Iterator[Branch]:
    """Yield the module calls down to a depth, parents first; functions are left out."""
    for branch in branches:
        if branch.layer.kind == "module" and branch.layer.depth <= depth:
            yield branch
            yield from opened(branch.children, depth)


def tree_table(analysis: Analysis, depth: int | None = None) -> str:
    """Return the module tree with shapes, costs and receptive fields, then the totals.

    The columns of parameters and MACs add up to the totals: a module whose inside is shown counts only
    what it does itself, one at the last depth shown counts everything below it. `Field` and `Stride`
    are those of the layer's output with respect to the network's input [px]; `Density`, where it was
    measured for each layer, is the share of that field from which a path leads to the unit.

    Args:
        analysis: what to print.
        depth: levels below the network to show, None for all.
    """
    densities = analysis.coverage.layers if analysis.coverage else None
    rows: list[tuple[str, ...]] = [(*_HEADER, _DENSITY) if densities else _HEADER]
    for root in tree(analysis.layers):
        for layer, row in _rows(root, analysis.model, "", "", depth):
            rows.append((*row, density_cell(densities[layer.index])) if densities else row)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [_line(row, widths) for row in rows]
    rule = "-" * max(map(len, lines))
    facts = totals(analysis)
    margin = max(len(label) for label, _ in facts) + 2
    return "\n".join(
        [lines[0], rule, *lines[1:], rule, *(f"{label:<{margin}}{text}" for label, text in facts)]
    )


def _rows(
    branch: Branch, model: str, art: str, below: str, depth: int | None
) -> Iterator[tuple[Layer, tuple[str, ...]]]:
    """Yield a branch's layers, each with its row; `art` leads its own line, `below` those of its children."""
    layer = branch.layer
    shown = branch.children if depth is None or layer.depth < depth else ()
    counted = (layer,) if shown else tuple(subtree(branch))
    params = sum(each.params for each in counted)
    macs = add(each.macs for each in counted)
    quiet = bool(shown)  # a module that is opened and does nothing itself
    yield (
        layer,
        (
            art + _label(layer, model),
            layer.type if layer.kind == "module" else "function",
            shape(layer.output_shape),
            NOTHING if quiet and params == 0 else count(params),
            NOTHING if quiet and macs == 0 else count(macs),
            extent(layer.receptive_field),
            stride(layer.receptive_field),
        ),
    )
    for child in shown:
        last = child is shown[-1]
        yield from _rows(
            child, model, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "), depth
        )


def _label(layer: Layer, model: str) -> str:
    if layer.kind == "function":
        return layer.type
    name = layer.name.rpartition(".")[2] or model
    return f"{name} (reused)" if layer.reused else name


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    words = [f"{cell:<{width}}" for cell, width in zip(cells[:_LEFT], widths[:_LEFT], strict=True)]
    figures = [f"{cell:>{width}}" for cell, width in zip(cells[_LEFT:], widths[_LEFT:], strict=True)]
    return "  ".join(words + figures)
