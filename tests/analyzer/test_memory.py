"""Activation memory, by hand: what every operator allocates, and what is alive at one time."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cifar_report.analyzer import analyze

INPUT = 3 * 8 * 8 * 4
"""Bytes of the input (3, 8, 8) in float32."""

MAP = 4 * 8 * 8 * 4
"""Bytes of a map of 4 channels."""


def memory(module: nn.Module, **options: object) -> tuple[int, int]:
    totals = analyze(module, (3, 8, 8), **options).totals
    return totals.activation_bytes, totals.peak_activation_bytes


def conv() -> nn.Conv2d:
    return nn.Conv2d(3, 4, 3, padding=1)


def test_a_chain_holds_an_input_and_an_output_at_a_time() -> None:
    assert memory(nn.Sequential(conv())) == (MAP, INPUT + MAP)
    assert memory(nn.Sequential(conv(), nn.ReLU())) == (2 * MAP, 2 * MAP)
    assert memory(nn.Sequential(conv(), nn.ReLU(), nn.ReLU(), nn.ReLU())) == (4 * MAP, 2 * MAP)


@pytest.mark.parametrize("free", [nn.ReLU(inplace=True), nn.Dropout(), nn.Flatten(), nn.Identity()])
def test_writes_in_place_views_and_dropout_take_nothing(free: nn.Module) -> None:
    assert memory(nn.Sequential(conv(), free)) == (MAP, INPUT + MAP)


def test_a_shortcut_keeps_its_tensor_alive() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv()

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return y + y.relu().sigmoid()

    assert memory(Residual()) == (4 * MAP, 3 * MAP)


def test_a_view_keeps_its_whole_tensor_alive() -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv()

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            first = y[:, :1]
            z = y.relu().sigmoid()
            return z.sum((1, 2, 3)) + first.sum((1, 2, 3))

    total, peak = memory(Keeps())
    assert peak == 3 * MAP
    assert total == 3 * MAP + 3 * 4


def test_what_a_tensor_was_written_into_stays_alive() -> None:
    class Fills(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = conv()

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            out = torch.zeros_like(y)
            out[:, :2] = y[:, :2]
            return out

    assert memory(Fills()) == (2 * MAP, 2 * MAP)


def test_half_precision_takes_half() -> None:
    module = nn.Sequential(conv(), nn.ReLU()).half()
    assert memory(module) == (MAP, MAP)
