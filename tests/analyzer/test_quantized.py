"""Quantized networks: figures are those of the networks that they were made from."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import Tensor, nn

from cifar_report.analyzer import analyze, windows
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.quantized import plain

SHAPE = (3, 24, 20)


class Everything(nn.Module):
    """Convolutions of two kinds, a joined branch, an addition, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.enter, self.leave = torch.ao.quantization.QuantStub(), torch.ao.quantization.DeQuantStub()
        self.first = nn.Sequential(nn.Conv2d(3, 4, (3, 5), 2, (1, 2)), nn.ReLU())
        self.depthwise = nn.Conv2d(4, 4, 3, padding=2, dilation=2, groups=4)
        self.pool = nn.MaxPool2d(3, 2)
        self.last = nn.Linear(8, 5)
        self.sum, self.join = torch.ao.nn.quantized.FloatFunctional(), torch.ao.nn.quantized.FloatFunctional()

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(self.enter(x))
        x = self.sum.add(x, self.depthwise(x))
        x = self.pool(self.join.cat([x, x.flip(1)], 1))
        return self.leave(self.last(x.mean([2, 3])))


@pytest.fixture
def quantized() -> nn.Module:
    with warnings.catch_warnings(action="ignore"):  # torch.ao says that it moves to another package
        network = Everything().eval()
        torch.ao.quantization.fuse_modules(network, [["first.0", "first.1"]], inplace=True)
        network.qconfig = torch.ao.quantization.get_default_qconfig(torch.backends.quantized.engine)
        torch.ao.quantization.prepare(network, inplace=True)
        network(torch.rand(1, *SHAPE))
        return torch.ao.quantization.convert(network)


def test_a_quantized_network_has_the_products_and_fields_of_the_one_it_was_made_from(
    quantized: nn.Module,
) -> None:
    with warnings.catch_warnings(action="ignore"):
        found, original = analyze(quantized, SHAPE), analyze(Everything(), SHAPE)
    assert found.rung == "real"
    assert found.totals.unknown_ops == ()
    assert found.totals.macs == original.totals.macs
    for name in ("first.0", "depthwise", "pool"):
        fields = [
            next(row.receptive_field for row in analysis.layers if row.name == name)
            for analysis in (found, original)
        ]
        assert fields[0].size is not None
        assert fields[0] == fields[1]
    assert found.totals.receptive_field == original.totals.receptive_field
    # Packed weights are no parameters in torch.
    assert found.totals.params == sum(p.numel() for p in quantized.parameters()) == 0


def test_the_settings_of_a_quantized_convolution_are_shown(quantized: nn.Module) -> None:
    with warnings.catch_warnings(action="ignore"):
        operators = analyze(quantized, SHAPE).operators
    settings = [o.attributes for o in operators if o.op.startswith("conv")]
    assert [one["kernel"] for one in settings] == [(3, 5), (3, 3)]
    assert (settings[1]["groups"], settings[1]["dilation"]) == (4, (2, 2))


def test_a_quantized_transposed_convolution_is_read_as_a_transposed_convolution() -> None:
    # Torch's kernel for these dies of an illegal instruction on some processors, so it isn't run.
    with warnings.catch_warnings(action="ignore"):
        layer = torch.ao.nn.quantized.ConvTranspose2d(8, 4, (2, 3), (2, 1), (0, 1), (1, 0), 2)
    value, out = (
        Value(n, shape, torch.quint8, -1, n) for n, shape in ((1, (1, 8, 6, 5)), (2, (1, 4, 13, 5)))
    )

    def constant(tensor: Tensor) -> Value:
        return Value(3, tuple(tensor.shape), tensor.dtype, -1, 3, tensor)

    node = Node(0, "quantized::conv_transpose2d", (value, layer._packed_params, 1.0, 0), {}, (out,), 0)
    settings = windows.convolution(plain(node, constant))
    assert settings.transposed
    assert (settings.kernel, settings.stride, settings.padding) == ((2, 3), (2, 1), (0, 1))
    assert (settings.groups, settings.in_channels, settings.out_channels) == (2, 8, 4)


def test_lines_are_quantized_too() -> None:
    with warnings.catch_warnings(action="ignore"):
        line = torch.ao.nn.quantized.Conv1d(2, 3, 5, 2, 2, 2)
        network = nn.Sequential(torch.ao.nn.quantized.Quantize(0.1, 0, torch.quint8), line)
        totals = analyze(network, (2, 30)).totals
    assert totals.receptive_field.output.size == (9,)
    assert totals.macs == 3 * 13 * 2 * 5


@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16])
def test_a_dynamically_quantized_linear_layer_counts_as_a_linear_layer(dtype: torch.dtype) -> None:
    with warnings.catch_warnings(action="ignore"):
        network = torch.ao.quantization.quantize_dynamic(
            nn.Sequential(nn.Flatten(), nn.Linear(3 * 24 * 20, 10)), {nn.Linear}, dtype=dtype
        )
        totals = analyze(network, SHAPE).totals
    assert (totals.macs, totals.unknown_ops) == (3 * 24 * 20 * 10, ())
    assert totals.receptive_field.output.size == (24, 20)


def test_a_quantized_operator_without_a_rule_is_unknown_not_free() -> None:
    with warnings.catch_warnings(action="ignore"):
        norm = torch.ao.nn.quantized.BatchNorm2d(3)
        network = nn.Sequential(torch.ao.nn.quantized.Quantize(0.1, 0, torch.quint8), norm)
        totals = analyze(network, SHAPE).totals
    assert totals.unknown_ops == ("quantized::batch_norm2d in 1",)
    assert totals.macs is None
