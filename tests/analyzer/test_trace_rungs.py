"""What runs on the meta device, on fake tensors and for real, and that all give the same trace."""

from __future__ import annotations

import numpy as np
import torch
import torchvision
from torch import Tensor, nn

from cifar_report.analyzer import analyze
from tests.analyzer.odd_modules import SHAPE, Three, counted, small


def test_a_network_on_meta_gives_the_same_as_one_with_values() -> None:
    with torch.device("meta"):
        module = small()
        module.register_buffer("scale", torch.ones(1))
    module.register_forward_hook(lambda self, args, out: out * (self.scale + torch.ones(1)))
    analysis, real = analyze(module, SHAPE), analyze(small(), SHAPE)
    assert analysis.rung == "meta"
    assert analysis.totals.macs == real.totals.macs
    assert analysis.totals.params == real.totals.params


def test_a_network_on_meta_that_asks_for_the_device_runs_on_fake_tensors() -> None:
    class Asks(Three):
        def forward(self, x: Tensor) -> Tensor:
            assert x.device.type == "cpu"
            with torch.autocast(x.device.type, dtype=torch.bfloat16):
                return self.c(self.a(x) * torch.ones(8, 1, 1, device=x.device)).add_(1)

    with torch.device("meta"):
        module = Asks()
    analysis = analyze(module, SHAPE)
    assert analysis.rung == "fake"
    assert analysis.totals.macs == counted(Asks(), torch.rand(1, *SHAPE))
    assert analysis.totals.receptive_field.output.size == (3, 3)
    assert analysis.totals.unknown_ops == ()


def test_fake_tensors_give_the_same_trace_as_meta_ones() -> None:
    class Asks(nn.Module):
        def __init__(self, network: nn.Module, device: str) -> None:
            super().__init__()
            self.network, self.device = network, device

        def forward(self, x: Tensor) -> Tensor:
            assert x.device.type == self.device
            return self.network(x)

    with torch.device("meta"):
        network = torchvision.models.mobilenet_v3_small()
    fake, meta = (analyze(Asks(network, device), (3, 64, 64)) for device in ("cpu", "meta"))
    assert (fake.rung, meta.rung) == ("fake", "meta")
    assert fake.operators == meta.operators
    assert fake.layers == meta.layers
    assert fake.totals == meta.totals


def test_real_tensors_give_the_same_trace_as_meta_ones() -> None:
    class Looks(nn.Module):
        def __init__(self, network: nn.Module, looks: bool) -> None:
            super().__init__()
            self.network, self.looks = network, looks

        def forward(self, x: Tensor) -> Tensor:
            assert not self.looks or x.sum().item() > 0
            return self.network(x)

    network = torchvision.models.mobilenet_v3_small()
    real, meta = (analyze(Looks(network, looks), (3, 64, 64)) for looks in (True, False))
    assert (real.rung, meta.rung) == ("real", "meta")
    assert real.totals.macs == meta.totals.macs
    assert [row.name for row in real.layers if row.name not in ("sum", "")] == [
        row.name for row in meta.layers if row.name
    ]
    assert real.totals.receptive_field == meta.totals.receptive_field


def test_what_comes_back_from_numpy_is_unknown_and_what_follows_still_counts() -> None:
    class Leaves(Three):
        def forward(self, x: Tensor) -> Tensor:
            return self.c(torch.from_numpy(np.tanh(self.a(x).numpy())))

    analysis = analyze(Leaves(), SHAPE)
    assert analysis.rung == "real"
    assert analysis.totals.unknown_ops == ("outside_torch in the network itself",)
    assert analysis.totals.receptive_field.output.kind == "unknown"
    assert analysis.totals.macs is None
    assert next(row for row in analysis.layers if row.name == "c").macs == 14 * 14 * 8 * 4


def test_numpy_that_shares_memory_loses_nothing() -> None:
    class Returns(Three):
        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.from_numpy(self.a(x).numpy()))

    analysis = analyze(Returns(), SHAPE)
    assert analysis.totals.receptive_field.output.size == (5, 5)
    assert analysis.totals.macs == counted(Returns(), torch.rand(1, *SHAPE))
