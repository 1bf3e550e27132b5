"""Totals, rows and JSON of whole networks, against torch's own counters."""

from __future__ import annotations

import json
from functools import cache

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cifar_report.analyzer import Analysis, analyze
from cifar_report.analyzer.analysis import InputSpec

NETWORKS = (
    "alexnet",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "regnet_y_400mf",
    "resnet18",
    "shufflenet_v2_x0_5",
    "squeezenet1_1",
    "swin_t",
    "vit_b_32",
)


@cache
def module_of(name: str) -> nn.Module:
    options = {"init_weights": False} if name == "googlenet" else {}
    return torchvision.models.get_model(name, **options).eval()


@cache
def analysis_of(name: str) -> Analysis:
    return analyze(module_of(name), (3, 224, 224))


@pytest.mark.parametrize("name", NETWORKS)
def test_json_round_trip_loses_nothing(name: str) -> None:
    analysis = analysis_of(name)
    text = analysis.to_json()
    again = Analysis.from_json(text)
    assert again == analysis
    assert again.to_json() == text
    assert Analysis.from_dict(analysis.to_dict()) == analysis
    assert "NaN" not in text
    assert "Infinity" not in text


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_add_up_to_the_totals(name: str) -> None:
    analysis = analysis_of(name)
    totals = analysis.totals
    for figure in ("params", "trainable_params", "buffers", "macs", "flops", "elementwise", "dmas",
                   "activation_bytes"):  # fmt: skip
        assert sum(getattr(row, figure) for row in analysis.layers) == getattr(totals, figure), figure
    for figure in ("macs", "elementwise", "dmas"):
        assert sum(getattr(op, figure) for op in analysis.operators) == getattr(totals, figure), figure
    assert totals.params == totals.trainable_params + totals.frozen_params


@pytest.mark.parametrize("name", NETWORKS)
def test_totals_equal_torchs_own_counts(name: str) -> None:
    module, totals = module_of(name), analysis_of(name).totals
    counter = FlopCounterMode(display=False)
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with counter, torch.no_grad():
            module(torch.rand(1, 3, 224, 224))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    assert totals.flops == counter.get_total_flops()
    assert totals.params == sum(p.numel() for p in module.parameters())
    assert totals.buffers == sum(b.numel() for b in module.buffers())
    assert totals.param_bytes == sum(p.numel() * 4 for p in module.parameters())
    assert totals.unknown_ops == ()
    assert analysis_of(name).rung == "meta"


@pytest.mark.parametrize("name", NETWORKS)
def test_rows_cover_every_operator_once_and_nest_like_the_modules(name: str) -> None:
    analysis = analysis_of(name)
    assert [row.index for row in analysis.layers] == list(range(len(analysis.layers)))
    root = analysis.layers[-1]
    assert (root.name, root.depth, root.first_operator) == ("", 0, 0)
    for operator in analysis.operators:
        row = analysis.layers[operator.layer]
        assert row.first_operator <= operator.index < row.last_operator
    paths = dict(module_of(name).named_modules())
    for row in analysis.layers:
        if row.kind == "module":
            assert type(paths[row.name]).__name__ == row.type
            assert row.depth == (row.name.count(".") + 1 if row.name else 0)


def test_an_unknown_figure_is_null_in_json_and_none_again() -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.svdvals(x)

    analysis = analyze(Odd(), (3, 8, 8))
    assert analysis.totals.macs is None
    assert analysis.totals.unknown_ops != ()
    assert json.loads(analysis.to_json())["totals"]["macs"] is None
    assert Analysis.from_json(analysis.to_json()) == analysis


def test_a_file_written_before_inputs_were_kept_is_still_read() -> None:
    data = analyze(nn.ReLU()).to_dict()
    del data["inputs"], data["field_input"]
    assert Analysis.from_dict(data).inputs == ()


def test_another_schema_version_is_refused() -> None:
    data = analyze(nn.ReLU()).to_dict() | {"schema_version": 99}
    with pytest.raises(ValueError, match="schema version 99"):
        Analysis.from_dict(data)


def test_inputs_are_kept_with_the_names_of_the_arguments() -> None:
    analysis = analyze(nn.ReLU(), (3, 8, 8))
    assert analysis.inputs == (InputSpec((3, 8, 8), None, "input"),)
    assert analysis.field_input == 0
