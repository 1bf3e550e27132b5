from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cifar_report.analyzer import analyze


@pytest.fixture(autouse=True)
def _slow_attention() -> Iterator[None]:
    """The counter sees no products in attention's fused path."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    yield
    torch.backends.mha.set_fastpath_enabled(enabled)


def counted_macs(network: nn.Module, shape: tuple[int, ...]) -> float:
    """Half of what torch's own counter says of one real pass."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.eval()(torch.zeros(1, *shape, device=next(network.parameters()).device))
    return counter.get_total_flops() / 2


@pytest.mark.parametrize(
    "name",
    ["resnet18", "mobilenet_v2", "densenet121", "shufflenet_v2_x0_5", "squeezenet1_1", "efficientnet_b0",
     "mnasnet0_5", "convnext_tiny", "vit_b_32", "swin_t"],
)  # fmt: skip
def test_macs_are_half_of_torchs_flops_and_parameters_are_counted_once(name: str) -> None:
    shape = (3, 224, 224)
    with torch.device("meta"):
        network = torchvision.models.get_model(name)
    totals = analyze(network, shape).totals
    assert totals.macs == counted_macs(network, shape)
    assert totals.flops == 2 * counted_macs(network, shape)
    assert totals.params == sum(p.numel() for p in network.parameters())
    assert totals.unknown_ops == ()


def test_intensity_is_all_operations_over_all_bytes_moved():
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.ReLU())
    totals = analyze(network, (3, 16, 16)).totals
    image, weights, maps = 3 * 16 * 16, 8 * 3 * 9, 8 * 16 * 16
    operations = 2 * maps * 3 * 9 + maps
    size = 4 * (image + weights + maps) + 4 * (maps + maps)
    assert totals.traffic_bytes == 4 * totals.dmas == size
    assert totals.intensity == pytest.approx(operations / size)


def test_half_precision_moves_half_the_bytes_and_stands_apart():
    network = nn.Sequential(nn.Linear(4, 4).half(), nn.BatchNorm1d(4))
    totals = analyze(nn.Conv2d(3, 8, 3).half(), (3, 16, 16)).totals
    assert totals.traffic_bytes == 2 * totals.dmas
    mixed = analyze(Unused(network), (3, 8, 8)).totals
    assert mixed.param_bytes_by_dtype == {"float32": 4 * (8 + 84), "float16": 2 * 20}
    assert mixed.param_bytes == sum(mixed.param_bytes_by_dtype.values())


class Unused(nn.Module):
    """Holds parameters of two dtypes and uses those of one."""

    def __init__(self, other: nn.Module) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3)
        self.other = other

    def forward(self, x):
        return self.conv(x)


def test_what_an_unknown_operator_moves_is_unknown():
    totals = analyze(Mystery(), (3, 8, 8)).totals
    assert totals.macs is totals.intensity is totals.traffic_bytes is None


class Mystery(nn.Module):
    def forward(self, x):
        return torch.geqrf(x)[0]
