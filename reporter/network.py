"""The network in words: layers, costs, receptive field, structures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cifar_report.reporter.tables import Column, Table, settings
from cifar_report.reporter.wording import (
    TIMES,
    byte_size,
    count,
    extent,
    field_detail,
    field_sentence,
    field_size,
    listing,
    one_line,
    plural,
    shape,
)

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Analysis, Finding, Layer
    from cifar_report.reporter.measured import Measured

CONVENTIONS = (
    "MACs are the multiply-accumulates of convolution, linear, matrix and attention products for one image;"
    " FLOPs are twice the MACs. Elementwise, normalisation and pooling operations are counted apart.",
    "DMAs are the tensor elements read plus those written by every operator that computes.",
    "Parameters are elements of distinct parameters: shared and tied ones count once, buffers stand apart.",
    "A layer's row holds its own figures without its children's, so that rows add up to the total.",
    "The receptive field is in pixels of the input and theoretical: it isn't clipped at the image's border,"
    " so it can be larger than the image. The centre of the first pixel is 0.",
    "Backwards is the receptive field of the network's output with respect to that layer's input.",
    "Density is the share of the field's pixels from which a path leads to the unit; the effective field is"
    " where the gradient of the trained network's middle unit lies.",
)
"""What the figures mean; a figure without its convention is useless."""


@dataclass(frozen=True, slots=True)
class Network:
    """The traced network."""

    model: str
    input_shape: str
    summary: str
    """Of several lines, in torchsummary's form."""
    totals: Table
    layers: Table
    fields: Table
    coverage: Table | None
    """How fully the field is used: density, alignment of branches, the effective field; None where that
    wasn't measured."""
    coverage_absent: str
    """Why not."""
    conventions: tuple[str, ...]
    structures: Table | None
    """None where nothing was found."""
    near_misses: Table | None
    remarks: tuple[str, ...]
    """What limits the figures: operators without a rule, modules never called, tracing on real tensors."""


def describe(analysis: Analysis, measured: Measured) -> Network:
    """Turn an analysis, and what was measured on the trained network, into tables and sentences."""
    from cifar_report.analyzer.summary import torchsummary_table

    return Network(
        model=one_line(analysis.model),
        input_shape=shape(analysis.input_shape),
        summary=torchsummary_table(analysis),
        totals=_totals(analysis),
        layers=_layers(analysis),
        fields=_fields(analysis),
        coverage=_coverage(measured),
        coverage_absent=measured.coverage if isinstance(measured.coverage, str) else "",
        conventions=CONVENTIONS,
        structures=_findings("Structures found", [f for f in analysis.findings if f.found]),
        near_misses=_findings(
            "Near misses: they look like a structure and do not count",
            [f for f in analysis.findings if not f.found],
        ),
        remarks=_remarks(analysis),
    )


def shown_layers(analysis: Analysis) -> tuple[Layer, ...]:
    """Return the rows of the layer table: containers only with figures of their own."""
    return tuple(
        layer
        for layer in analysis.layers
        if not layer.container or layer.params or layer.macs != 0 or layer.elementwise != 0
    )


def _layers(analysis: Analysis) -> Table:
    right = {"right": True}
    columns = (
        Column("#", **right),
        Column("Layer", code=True),
        Column("Type", code=True),
        Column("Output", **right),
        Column("Parameters", **right),
        Column("MACs", **right),
        Column("Field", **right),
        Column("Stride", **right),
        Column("Start", **right),
        Column("Backwards", **right),
    )
    rows = [_layer_row(number, layer) for number, layer in enumerate(shown_layers(analysis), start=1)]
    output = analysis.totals.receptive_field.output
    total = (
        "Total",
        "whole network",
        one_line(analysis.model),
        _output_shape(analysis.layers[-1]),
        count(analysis.totals.params),
        count(analysis.totals.macs),
        field_size(output),
        field_detail(output, output.stride),
        field_detail(output, output.start),
        field_size(output),
    )
    return Table("Every layer: cost and receptive field [px]", columns, tuple(rows), total)


def _layer_row(number: int, layer: Layer) -> tuple[str, ...]:
    field = layer.receptive_field
    name = one_line(layer.name) or "the network itself"
    return (
        str(number),
        f"{name} (again)" if layer.reused else name,
        one_line(layer.type),
        _output_shape(layer),
        count(layer.params),
        count(layer.macs),
        field_size(field),
        field_detail(field, field.stride),
        field_detail(field, field.start),
        field_size(layer.backward_field),
    )


def _output_shape(layer: Layer) -> str:
    return shape(layer.output_shape[1:]) if layer.output_shape else "no tensor"


def _totals(analysis: Analysis) -> Table:
    totals = analysis.totals
    rows = (
        ("Parameters", count(totals.params), "distinct, shared ones once"),
        ("Trainable parameters", count(totals.trainable_params), "updated in training"),
        ("Frozen parameters", count(totals.frozen_params), "not updated in training"),
        ("Buffers", count(totals.buffers), "such as running means; not parameters"),
        ("MACs", count(totals.macs), "multiply-accumulates of products"),
        ("FLOPs", count(totals.flops), f"2 {TIMES} MACs"),
        ("Other operations", count(totals.elementwise), "elementwise, normalisation and pooling"),
        ("DMAs", count(totals.dmas), "elements read plus elements written"),
        ("Parameter memory", byte_size(totals.param_bytes), "1 MB = 1,000,000 bytes"),
        ("Buffer memory", byte_size(totals.buffer_bytes), "1 MB = 1,000,000 bytes"),
        ("Activations", byte_size(totals.activation_bytes), "sum over all operators that compute"),
        ("Peak of activations", byte_size(totals.peak_activation_bytes), "each freed after its last use"),
    )
    columns = (Column("Cost"), Column("Figure", right=True), Column("Convention"))
    return Table("What one image costs", columns, rows)


def _fields(analysis: Analysis) -> Table:
    field = analysis.totals.receptive_field
    rows = tuple(
        (
            place,
            field_sentence(value),
            f"{extent(value.visible)} px" if value.visible else "not known",
        )
        for place, value in (("Before global pooling", field.before_gap), ("At the output", field.output))
    )
    columns = (Column("Where"), Column("Receptive field"), Column("Visible part"))
    return Table("The network's receptive field", columns, rows)


def _coverage(measured: Measured) -> Table | None:
    from cifar_report.analyzer.summary_coverage import coverage_lines

    if isinstance(measured.coverage, str):
        return None
    rows = [(label, one_line(text)) for label, text in coverage_lines(measured.coverage)]
    rows.append(("Effective field", _effective(measured)))
    return settings("How much of the field reaches the unit", rows, "Figure")


def _effective(measured: Measured) -> str:
    field = measured.effective
    if isinstance(field, str):
        return f"not measured: {field}"
    sides = " and ".join(
        f"{share:g} % of the gradient within {extent(field.extent(share / 100))} px" for share in (50, 95.45)
    )
    return f"{sides}, around the middle unit before global pooling, over {plural(field.images, 'image')}"


def _findings(caption: str, findings: list[Finding]) -> Table | None:
    if not findings:
        return None
    return Table(
        caption,
        (Column("Structure"), Column("Layers", code=True), Column("Why")),
        tuple(
            (
                one_line(finding.structure.replace("_", " ")),
                one_line(", ".join(finding.layers)) or "none",
                one_line(finding.detail) or "no detail given",
            )
            for finding in findings
        ),
    )


def _remarks(analysis: Analysis) -> tuple[str, ...]:
    remarks = []
    if analysis.totals.unknown_ops:
        names = listing([one_line(name) for name in analysis.totals.unknown_ops])
        remarks.append(f"No rule is known for {names}; figures that depend on it are unknown, not 0.")
    if analysis.uncalled:
        names = listing([one_line(name) for name in analysis.uncalled])
        remarks.append(
            f"{plural(len(analysis.uncalled), 'module was', 'modules were')} never called: {names}."
        )
    if analysis.rung != "meta":
        kind = "fake tensors" if analysis.rung == "fake" else "real tensors on the CPU"
        remarks.append(f"The network could not be traced on meta tensors; it was traced on {kind}.")
    return tuple(remarks)
