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
