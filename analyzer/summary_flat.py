"""Tables with one row for each layer, in order of completion: Markdown, HTML, CSV."""

from __future__ import annotations

import csv
import io
from html import escape

from cifar_report.analyzer.analysis import Analysis, Layer, ReceptiveField
from cifar_report.analyzer.coverage import Density
from cifar_report.analyzer.summary_coverage import density_cell
from cifar_report.analyzer.summary_figures import (
    NOTHING,
    UNKNOWN,
    count,
    extent,
    per_axis,
    shape,
    size,
    stride,
    totals,
)
from cifar_report.analyzer.summary_tree import subtree_sums

_HEADER = ("Layer", "Type", "Output", "Params", "MACs", "Receptive field", "Stride")
_WORDS = 3
"""Columns of words; the ones after them are figures."""
_FIGURES = ("params", "trainable_params", "buffers", "macs", "flops", "elementwise", "dmas")
_FIELDS = ("receptive_field", "uniform", "stride", "start", "visible", "backward_field")


def markdown_table(analysis: Analysis) -> str:
    """Return a GitHub-flavoured table of the layers that do something, then a list of the totals.

    Parameters and MACs add up to the last row. The receptive field is that of a layer's output with
    respect to the network's input [px]; its density stands beside it where it was measured for each layer.
    """
    header = _header(analysis)
    lines = [
        _markdown_row(header),
        _markdown_row(tuple("---" if column < _WORDS else "---:" for column in range(len(header)))),
    ]
    for name, kind, *cells in _rows(analysis):
        lines.append(_markdown_row((_code(name), _code(kind), *cells)))
    lines.append(_markdown_row(tuple(f"**{cell}**" if cell else "" for cell in _total_row(analysis))))
    lines.append("")
    lines += [f"- {label}: {_plain_markdown(text)}" for label, text in totals(analysis)]
    return "\n".join(lines)


def html_table(analysis: Analysis) -> str:
    """Return the same table as an HTML fragment, every text escaped, header cells with a scope."""
    heads = "".join(f'<th scope="col">{escape(title)}</th>' for title in _header(analysis))
    body = "\n".join(f"<tr>{_html_cells(row)}</tr>" for row in _rows(analysis))
    facts = "\n".join(f"<dt>{escape(label)}</dt><dd>{escape(text)}</dd>" for label, text in totals(analysis))
    return (
        f'<table class="cifar-report">\n<caption>{escape(analysis.model)}</caption>\n'
        f"<thead><tr>{heads}</tr></thead>\n<tbody>\n{body}\n</tbody>\n"
        f"<tfoot><tr>{_html_cells(_total_row(analysis))}</tr></tfoot>\n</table>\n"
        f'<dl class="cifar-report">\n{facts}\n</dl>'
    )


def csv_table(analysis: Analysis) -> str:
    """Return every figure of every layer, a header line first; costs are a layer's own.

    Plain numbers without separators, shapes as `1x32x16x16`, and no totals: the columns `params` to
    `dmas` add up to them. `subtree_params` to `subtree_dmas` count everything inside a module too.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    densities = _densities(analysis)
    sums = [subtree_sums(analysis.layers, figure) for figure in _FIGURES]
    last = (*(f"subtree_{figure}" for figure in _FIGURES), *(("density",) if densities else ()))
    writer.writerow(("index", "name", "type", "kind", "output_shape", "reused", *_FIGURES, *_FIELDS, *last))
    for layer in analysis.layers:
        figures = (getattr(layer, name) for name in _FIGURES)
        writer.writerow(
            (
                layer.index,
                layer.name,
                layer.type,
                layer.kind,
                shape(layer.output_shape),
                str(layer.reused).lower(),
                *map(_figure, figures),
                *_field_cells(layer.receptive_field),
                size(layer.backward_field),
                *(_figure(column[layer.index]) for column in sums),
                *((_figure(densities[layer.index].share),) if densities else ()),
            )
        )
    return text.getvalue().rstrip("\n")


def _densities(analysis: Analysis) -> tuple[Density, ...] | None:
    """Return every layer's density, where these were asked for."""
    return analysis.coverage.layers if analysis.coverage else None


def _header(analysis: Analysis) -> tuple[str, ...]:
    return (*_HEADER, "Density") if _densities(analysis) else _HEADER


def _rows(analysis: Analysis) -> list[tuple[str, ...]]:
    """Return the rows that have something to say: everything but containers that only contain."""
    densities = _densities(analysis)
    return [
        (*_row(layer), density_cell(densities[layer.index])) if densities else _row(layer)
        for layer in analysis.layers
        if not layer.container or _does_something(layer)
    ]


def _does_something(layer: Layer) -> bool:
    return layer.params > 0 or layer.macs != 0


def _row(layer: Layer) -> tuple[str, ...]:
    name = layer.name or "(network)"
    return (
        f"{name} (reused)" if layer.reused else name,
        layer.type,
        shape(layer.output_shape),
        count(layer.params),
        count(layer.macs),
        extent(layer.receptive_field),
        stride(layer.receptive_field),
    )


def _total_row(analysis: Analysis) -> tuple[str, ...]:
    sums = analysis.totals
    output = sums.receptive_field.output
    row = "Total", "", "", count(sums.params), count(sums.macs), extent(output), stride(output)
    coverage = analysis.coverage
    return (*row, density_cell(coverage.output)) if coverage and coverage.layers else row


def _figure(figure: float | None) -> float | str:
    return UNKNOWN if figure is None else figure


def _field_cells(field: ReceptiveField) -> tuple[str, ...]:
    """Return size, whether all units have it, stride, start and visible part of a field."""
    absent = UNKNOWN if field.kind == "unknown" else NOTHING
    parts = (per_axis(values) if values else absent for values in (field.start, field.visible))
    return size(field), str(field.uniform).lower(), stride(field), *parts


def _markdown_row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


def _code(text: str) -> str:
    """Return a code span that stays inside its table cell."""
    flat = " ".join(text.replace("`", "'").split())
    return f"`{flat}`".replace("|", "\\|")


def _plain_markdown(text: str) -> str:
    """Return text in which nothing is markup: names may hold underscores, asterisks and brackets."""
    return "".join(f"\\{letter}" if letter in "\\`*_[]<>|" else letter for letter in text)


def _html_cells(cells: tuple[str, ...]) -> str:
    first, *others = (escape(cell) for cell in cells)
    rest = "".join(
        f"<td>{cell}</td>" if column < _WORDS else f'<td class="number">{cell}</td>'
        for column, cell in enumerate(others, 1)
    )
    return f'<th scope="row">{first}</th>{rest}'
