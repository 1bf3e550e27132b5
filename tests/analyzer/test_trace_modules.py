"""Modules that other tools trip over: parameters, products and rung, against torch's own counters."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cifar_report.analyzer import Analysis, analyze
from tests.analyzer import odd_forwards  # noqa: F401 - adds its cases
from tests.analyzer.odd_modules import CASES, SHAPE, Three, counted, frozen, small


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # checkpoint's
@pytest.mark.parametrize("name", CASES)
def test_parameters_products_and_rung(name: str) -> None:
    build, rung = CASES[name]
    module = build()
    dtype = next((p.dtype for p in module.parameters()), torch.float32)
    expected = counted(build(), torch.rand(1, *SHAPE).to(dtype))
    analysis = analyze(module, SHAPE)
    assert analysis.rung == rung
    assert analysis.totals.macs == expected
    assert analysis.totals.params == sum(p.numel() for p in module.parameters())
    assert analysis.totals.unknown_ops == ()
    assert sum(row.params for row in analysis.layers) == analysis.totals.params
    assert sum(row.macs or 0 for row in analysis.layers) == expected
    assert Analysis.from_json(analysis.to_json()) == analysis


def test_lazy_layers_are_settled_on_a_copy() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(10))

    module = build()
    analysis = analyze(module, SHAPE)
    assert isinstance(module[0], nn.LazyConv2d)
    assert isinstance(module[0].weight, nn.UninitializedParameter)
    real = build()
    assert analysis.totals.macs == counted(real, torch.rand(1, *SHAPE))
    assert analysis.totals.params == sum(p.numel() for p in real.parameters())
    assert [row.type for row in analysis.layers] == [
        "Conv2d",
        "BatchNorm2d",
        "Flatten",
        "Linear",
        "Sequential",
    ]


def test_a_lazy_network_that_fails_says_where() -> None:
    from cifar_report.analyzer.errors import ModelError

    with pytest.raises(ModelError, match=r"in 1 \(LazyConv1d\)"):
        analyze(nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyConv1d(8, 3)), SHAPE)


def test_frozen_parameters_stand_apart() -> None:
    totals = analyze(frozen(), SHAPE).totals
    assert totals.frozen_params == 8 * 3 * 9 + 8
    assert totals.trainable_params == 16 + 8 * 4 + 4


def test_batch_normalisation_that_insists_on_training_runs_on_a_batch_of_one() -> None:
    class Insists(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm1d(8)

        def forward(self, x: Tensor) -> Tensor:
            self.norm.train()
            return self.norm(self.conv(x).mean((2, 3)))

    analysis = analyze(Insists(), SHAPE)
    assert (analysis.rung, analysis.totals.macs) == ("meta", 8 * 27 * 14 * 14)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        Insists()(torch.rand(1, *SHAPE))  # and torch itself still refuses it


def test_torch_compile_is_seen_through() -> None:
    plain = small(nn.Conv2d(8, 4, 1))
    inner = small(torch.compile(nn.Conv2d(8, 4, 1)))
    in_place = small(nn.Conv2d(8, 4, 1))
    in_place.compile()
    expected = analyze(plain, SHAPE).totals
    for module in (torch.compile(plain), inner, in_place):
        analysis = analyze(module, SHAPE)
        assert analysis.totals.macs == expected.macs
        assert analysis.totals.params == expected.params
        assert analysis.rung == "meta"


def test_recurrent_layers_count_every_step() -> None:
    class Recurs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.LSTM(16, 8, 2, batch_first=True, bidirectional=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x.flatten(1, 2))[0]

    steps, hidden = 3 * 16, 8
    first, second = (16 + hidden) * 4 * hidden, (2 * hidden + hidden) * 4 * hidden
    assert analyze(Recurs(), SHAPE).totals.macs == steps * 2 * (first + second)


def test_slices_written_in_place_keep_the_receptive_field_exact() -> None:
    class Writes(Three):
        def forward(self, x: Tensor) -> Tensor:
            y = self.a(x)
            z = F.pad(self.b(y), (1, 1, 1, 1))
            out = torch.zeros_like(y)
            left, right = out.chunk(2, 1)
            left.copy_(y[:, :4])
            right.copy_(z[:, 4:])
            out[:, 0] = z[:, 0]
            return out[:, 1:4], out[:, :1], out[:, 4:]

    class Taken(nn.Module):
        def __init__(self, place: int) -> None:
            super().__init__()
            self.writes, self.place = Writes(), place

        def forward(self, x: Tensor) -> Tensor:
            return self.writes(x)[self.place]

    sizes = [analyze(Taken(place), SHAPE).totals.receptive_field.output.size for place in range(3)]
    assert sizes == [(3, 3), (5, 5), (5, 5)]


def test_an_output_that_was_written_to_through_a_view() -> None:
    class Writes(Three):
        def forward(self, x: Tensor) -> Tensor:
            out = self.a(x)
            out[:, :, 0] = F.pad(self.b(out), (1, 1, 1, 1))[:, :, 0]
            return out

    analysis = analyze(Writes(), SHAPE)
    assert analysis.operators[-1].op == "write_select"
    assert analysis.layers[-1].output_shape == (1, 8, 14, 14)


def test_a_view_taken_before_a_write_sees_the_write() -> None:
    class Writes(Three):
        def forward(self, x: Tensor) -> Tensor:
            y = self.a(x)
            turned = y.transpose(2, 3).flatten(2)[:, 2:6]
            y.copy_(F.pad(self.b(y), (1, 1, 1, 1)))
            return turned.unflatten(2, (14, 14)).transpose(2, 3)

    field = analyze(Writes(), SHAPE).totals.receptive_field.output
    assert (field.kind, field.size, field.stride) == ("local", (5, 5), (1, 1))


@pytest.mark.parametrize("depth", [3000])
def test_a_list_of_thousands_of_layers(depth: int) -> None:
    module = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(depth)])
    analysis = analyze(module, (3, 8, 8))
    assert analysis.totals.macs == depth * 81 * 64
    assert analysis.totals.receptive_field.output.size == (2 * depth + 1, 2 * depth + 1)
    assert len(analysis.layers) == depth + 1


def test_recursion_that_ends() -> None:
    class Folds(Three):
        def forward(self, x: Tensor, times: int = 3) -> Tensor:
            return self.a(x) if times == 0 else self(x.relu(), times - 1)

    analysis = analyze(Folds(), SHAPE)
    assert [row.reused for row in analysis.layers if row.type == "Folds"] == [True, True, True, False]
    assert analysis.totals.macs == 8 * 27 * 14 * 14


def test_an_analysis_imports_neither_the_compiler_nor_sympy() -> None:
    code = (
        "import sys, torch; from cifar_report.analyzer import analyze;"
        "analyze(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU()));"
        "print(sorted({'torch._dynamo', 'sympy', 'torchvision', 'numpy.random'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
