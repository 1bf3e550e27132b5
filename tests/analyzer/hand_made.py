"""An analysis made by hand, so that every awkward figure occurs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cifar_report.analyzer.analysis import Analysis, FieldTotals, Layer, ReceptiveField, Totals

UNKNOWN = ReceptiveField(kind="unknown", cause="aten.mystery")
GLOBAL = ReceptiveField(kind="global", cause="attend")


def local(*size: int, stride: tuple[float, ...] = (1, 1), uniform: bool = True) -> ReceptiveField:
    return ReceptiveField(
        kind="local", size=size, stride=stride, start=(0.5, 0.5), uniform=uniform, visible=(3, 3)
    )


def layer(index: int, name: str, type_: str, depth: int, **changes: Any) -> Layer:
    values: dict[str, Any] = {
        "index": index,
        "name": name,
        "type": type_,
        "kind": "module",
        "leaf": True,
        "container": False,
        "depth": depth,
        "input_shape": (1, 3, 8, 8),
        "output_shape": (1, 4, 8, 8),
        "params": 0,
        "trainable_params": 0,
        "buffers": 0,
        "reused": False,
        "macs": 0,
        "flops": 0,
        "elementwise": 0,
        "dmas": 0,
        "activation_bytes": 0,
        "receptive_field": local(3, 3),
        "backward_field": local(5, 3),
        "first_operator": 0,
        "last_operator": 0,
    }
    return Layer(**(values | changes))


LAYERS = (
    layer(0, "stem.conv", "Conv2d", 2, params=112, trainable_params=112, macs=6912, flops=13824),
    layer(1, "stem.norm", "BatchNorm2d", 2, params=8, buffers=9),
    layer(2, "stem", "Sequential", 1, leaf=False, container=True),
    layer(3, "act", "ReLU", 1, receptive_field=local(5, 3, stride=(2, 1))),
    layer(4, "", "mystery", 1, kind="function", macs=None, receptive_field=UNKNOWN),
    layer(5, "act", "ReLU", 1, reused=True, receptive_field=local(27, 27, stride=(0.5, 0.5), uniform=False)),
    layer(6, "attend", "Attention|x", 1, params=1_234_567, macs=9_876_543_210, receptive_field=GLOBAL),
    layer(7, "", "Net<b>", 0, leaf=False, container=True, output_shape=(1, 10), params=20, macs=0),
)

TOTALS = Totals(
    params=1_234_707,
    trainable_params=1_234_607,
    frozen_params=100,
    buffers=9,
    macs=None,
    flops=None,
    elementwise=2048,
    dmas=4096,
    param_bytes=4 * 1_234_707,
    buffer_bytes=40,
    activation_bytes=3 << 20,
    peak_activation_bytes=1 << 20,
    receptive_field=FieldTotals(before_gap=local(5, 3, stride=(2, 1)), output=GLOBAL),
    unknown_ops=("aten.mystery",),
)

ANALYSIS = Analysis(
    model="made_by_hand",
    input_shape=(3, 8, 8),
    rung="meta",
    totals=TOTALS,
    layers=LAYERS,
    operators=(),
    findings=(),
    uncalled=("spare",),
)

KNOWN = replace(
    ANALYSIS,
    totals=replace(TOTALS, macs=9_876_550_122, flops=19_753_100_244, unknown_ops=()),
    layers=tuple(replace(each, macs=each.macs or 0) for each in LAYERS),
    uncalled=(),
)
"""The same without anything unknown, and with every module called."""
