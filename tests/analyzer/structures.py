"""What was found in a network, and parts that several tests of it share."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.analysis import Finding


def findings(module: nn.Module, structure: str, shape: tuple[int, ...] = (8, 16, 16)) -> list[Finding]:
    return [f for f in analyze(module, shape).findings if f.structure == structure]


def found(module: nn.Module, structure: str, shape: tuple[int, ...] = (8, 16, 16)) -> list[tuple[str, ...]]:
    return [f.layers for f in findings(module, structure, shape) if f.found]


def why_not(module: nn.Module, structure: str, shape: tuple[int, ...] = (8, 16, 16)) -> str:
    assert found(module, structure, shape) == []
    return "; ".join(f.detail for f in findings(module, structure, shape))


def blocks(module: nn.Module, shape: tuple[int, ...] = (3, 32, 32)) -> list[tuple[str, ...]]:
    return found(module, "block", shape)


def depthwise(channels: int = 8, out: int | None = None, kernel: Any = 3, **options: Any) -> nn.Conv2d:
    return nn.Conv2d(channels, out or channels, kernel, padding=1, groups=channels, **options)


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.up(self.down(x.mean((2, 3), keepdim=True)).relu()).sigmoid()
