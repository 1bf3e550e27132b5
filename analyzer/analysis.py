"""The result of an analysis: frozen values that turn into JSON and back without loss.

Conventions, stated once and printed wherever a figure stands:

* MACs: multiply-accumulates of convolution, linear, matrix and attention products, batch of 1.
* FLOPs: 2 x MACs. Elementwise, normalisation and pooling operations stand apart (`elementwise`).
* DMAs: tensor elements read plus elements written, by every operator that computes.
* Parameters: elements of distinct `nn.Parameter`s; shared and tied ones count once; buffers apart.
* Receptive field: [px] of the input, theoretical (not clipped at the image), per spatial axis.
* None means unknown: an operator without a rule is listed in `unknown_ops` and never counts as 0.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cifar_report.analyzer.coverage import Coverage

SCHEMA_VERSION = 1

Kind = Literal["local", "global", "unknown"]


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """What one unit of a feature map sees of the input, per spatial axis (depth,) height, width."""

    kind: Kind
    """`local`, `global` (every unit sees the whole image) or `unknown`."""
    size: tuple[int, ...] | None = None
    """Theoretical extent of an interior unit's field [px]."""
    stride: tuple[float, ...] | None = None
    """Distance between the fields of neighbouring units [px], also called jump."""
    start: tuple[float, ...] | None = None
    """Centre of the first unit's field [px]; the centre of the first pixel is 0."""
    uniform: bool = True
    """False where the size differs from unit to unit; `size` is then the largest."""
    visible: tuple[int, ...] | None = None
    """The part of the middle unit's field that lies on the image [px]."""
    cause: str | None = None
    """The layer that made the field global, or the operator that made it unknown."""

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ReceptiveField:
        """Rebuild from `dataclasses.asdict`'s form, lists become tuples."""
        values: dict[str, Any] = {key: _tuples(value) for key, value in data.items()}
        return cls(**values)


@dataclass(frozen=True, slots=True)
class Layer:
    """One call of a module, or of a function outside of any leaf module, in order of completion.

    Costs and parameters are the layer's own, without its children's: rows add up to the totals.
    """

    index: int
    name: str
    """Dotted path, such as `features.3.conv`; functions are named after the module that called them."""
    type: str
    """Class name of the module, or the function's name."""
    kind: Literal["module", "function"]
    leaf: bool
    """False for a module that has children; its row holds what it does itself."""
    container: bool
    """True for Sequential and the like, and for the network itself: summaries leave these out."""
    depth: int
    """0 for the network itself."""
    input_shape: tuple[int, ...] | None
    output_shape: tuple[int, ...] | None
    """Shape of the first tensor returned, batch first; None where no tensor is returned."""
    params: int
    trainable_params: int
    buffers: int
    """Elements of the module's own buffers."""
    reused: bool
    """True for the second and later calls; the parameters counted at the first one."""
    macs: int | None
    flops: int | None
    elementwise: int | None
    dmas: int | None
    activation_bytes: int
    receptive_field: ReceptiveField
    """Of this layer's output, with respect to the network's input."""
    backward_field: ReceptiveField
    """Of the network's output, with respect to this layer's input."""
    first_operator: int
    """Operators of this call, children included: `operators[first_operator:last_operator]`."""
    last_operator: int
    traffic_bytes: int | None = None
    """What `dmas` takes in memory [B]."""
    intensity: float | None = None
    """All operations over all bytes moved [FLOP/B], the roofline's arithmetic intensity."""


@dataclass(frozen=True, slots=True)
class Operator:
    """A node of the dataflow graph."""

    index: int
    op: str
    """Name in ATen, such as `conv2d`."""
    layer: int
    """Index of the layer that it belongs to."""
    inputs: tuple[int, ...]
    """Operators whose outputs it reads; -1, -2 ... are the network's inputs."""
    output_shape: tuple[int, ...]
    macs: int | None
    elementwise: int | None
    dmas: int | None
    receptive_field: ReceptiveField
    attributes: dict[str, Any] = field(default_factory=dict)
    """For windows: kernel, stride, padding, dilation, groups, in_channels, out_channels."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A structure that was found, or a near miss, with the layers that show it."""

    structure: str
    """`depthwise_separable`, `dilated`, `max_pool`, `strided_conv`, `gap`, `fc_after_gap` ..."""
    found: bool
    """False for a near miss, which counts for nothing and says why."""
    layers: tuple[str, ...]
    detail: str


@dataclass(frozen=True, slots=True)
class FieldTotals:
    """The network's receptive field where readers of an assignment disagree."""

    before_gap: ReceptiveField
    """Of the map that enters the final global pooling; without one, of the last map."""
    output: ReceptiveField


@dataclass(frozen=True, slots=True)
class Totals:
    """Figures of the whole network for a batch of one."""

    params: int
    trainable_params: int
    frozen_params: int
    buffers: int
    macs: int | None
    flops: int | None
    elementwise: int | None
    dmas: int | None
    param_bytes: int
    buffer_bytes: int
    activation_bytes: int
    """Sum of the outputs of all operators that compute [B]."""
    peak_activation_bytes: int
    """Largest sum of activations alive at one time, each freed after its last use [B]."""
    receptive_field: FieldTotals
    unknown_ops: tuple[str, ...]
    traffic_bytes: int | None = None
    """What `dmas` takes in memory, as if nothing stayed in a cache [B]."""
    intensity: float | None = None
    """All operations over all bytes moved [FLOP/B], the roofline's arithmetic intensity."""
    param_bytes_by_dtype: dict[str, int] = field(default_factory=dict)
    """Parameter memory by dtype, such as `float32` [B]."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """A tensor that a network is called with."""

    shape: tuple[int, ...]
    """Of one example, without the batch: (C, H, W), or (L,) for tokens."""
    dtype: str | None = None
    """Such as `float32` or `int64`; None stands for the dtype of the network's parameters."""
    name: str | None = None
    """Keyword to pass it by; None passes it by position."""


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that tracing a network for one input shape tells."""

    model: str
    """How the network was named, or its class."""
    input_shape: tuple[int, ...]
    """Of one example, without the batch: (C, H, W). The first input's, when there are several."""
    rung: Literal["meta", "fake", "real"]
    """What the tensors were while tracing."""
    totals: Totals
    layers: tuple[Layer, ...]
    operators: tuple[Operator, ...]
    findings: tuple[Finding, ...]
    uncalled: tuple[str, ...] = ()
    """Dotted paths of modules with parameters of their own that were never called. What calls them by
    their weights, or the network, has their parameters in its row."""
    inputs: tuple[InputSpec, ...] = ()
    """All tensors that the network was called with, named after the arguments they are."""
    field_input: int = 0
    """Which of the inputs the receptive fields refer to: the first that looks like an image."""
    coverage: Coverage | None = None
    """Density and alignment of the receptive fields; None unless they were asked for."""
    schema_version: int = SCHEMA_VERSION

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and tuples, ready for `json.dumps`."""
        return asdict(self)

    def to_json(self) -> str:
        """Return the analysis as JSON, unknown figures as null."""
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Analysis:
        """Rebuild an analysis from `to_dict()` or from parsed JSON.

        Raises:
            ValueError: another schema version, or not an analysis at all.
        """
        if data.get("schema_version") != SCHEMA_VERSION:
            found = data.get("schema_version")
            raise ValueError(f"analysis has schema version {found}, this version reads {SCHEMA_VERSION}")
        totals = dict(data["totals"])
        fields = totals["receptive_field"]
        totals["receptive_field"] = FieldTotals(
            before_gap=ReceptiveField.from_dict(fields["before_gap"]),
            output=ReceptiveField.from_dict(fields["output"]),
        )
        totals["unknown_ops"] = tuple(totals["unknown_ops"])
        return cls(
            model=data["model"],
            input_shape=tuple(data["input_shape"]),
            rung=data["rung"],
            totals=Totals(**totals),
            layers=tuple(Layer(**_record(row)) for row in data["layers"]),
            operators=tuple(Operator(**_record(row)) for row in data["operators"]),
            findings=tuple(Finding(**_record(row)) for row in data["findings"]),
            uncalled=tuple(data["uncalled"]),
            inputs=tuple(InputSpec(**_record(row)) for row in data.get("inputs", ())),
            field_input=data.get("field_input", 0),
            coverage=_coverage(data.get("coverage")),
        )

    @classmethod
    def from_json(cls, text: str) -> Analysis:
        """Rebuild an analysis from `to_json()`'s text."""
        return cls.from_dict(json.loads(text))

    def _repr_html_(self) -> str:
        from cifar_report.analyzer.summary import html_table

        return html_table(self)

    def _repr_markdown_(self) -> str:
        from cifar_report.analyzer.summary import markdown_table

        return markdown_table(self)


def _coverage(data: dict[str, Any] | None) -> Coverage | None:
    """Rebuild a coverage, which most analyses don't have, and a check needn't import."""
    if data is None:
        return None
    from cifar_report.analyzer.coverage import Coverage

    return Coverage.from_dict(data)


def _record(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row with JSON's lists as tuples and its receptive fields as values."""
    record: dict[str, Any] = {}
    for key, value in row.items():
        if key in ("receptive_field", "backward_field"):
            record[key] = ReceptiveField.from_dict(value)
        else:
            record[key] = _tuples(value)
    return record


def _tuples(value: Any) -> Any:
    """Return JSON's lists as the tuples they were."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple([_tuples(item) for item in value]) if isinstance(value, list) else value
