"""Networks whose graphs are drawn: with branches, joins, many layers, few, and names that mean harm."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.assemble import analyze
from cifar_report.models import registry
from cifar_report.reporter.network_graph import NetworkGraph

HOSTILE = (
    'a"]; b`*_<script>alert(1)</script>&amp;|{}',
    "end",
    "%%{init: {}}%%",
    'click n0 href "http://x"',
    "\u202e\u732b\U0001f600",
)


class Residual(nn.Module):
    def __init__(self, channels: int, out: int | None = None) -> None:
        super().__init__()
        out = out or channels
        stride = 1 if out == channels else 2
        self.conv1 = nn.Conv2d(channels, out, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)
        self.shortcut = nn.Conv2d(channels, out, 1, stride=stride) if stride > 1 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class ResNet(nn.Module):
    def __init__(self, blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.stage = nn.Sequential(*[Residual(8) for _ in range(blocks)], Residual(8, 16))
        self.fc = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.stage(self.stem(x)).mean((2, 3)))


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down1, self.down2 = nn.Conv2d(3, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1)
        self.middle = nn.Conv2d(16, 16, 3, padding=1)
        self.up2, self.up1 = nn.ConvTranspose2d(16, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)
        self.out = nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.down1(x))
        b = F.relu(self.down2(F.max_pool2d(a, 2)))
        c = self.up2(self.middle(F.max_pool2d(b, 2))) + b
        return self.out(torch.cat([self.up1(c), a], 1))


class Dense(nn.Module):
    """Every layer reads all before it, more of them than fit in the margin of a narrow picture."""

    def __init__(self, layers: int = 25) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(3 + 4 * i, 4, 3, padding=1) for i in range(layers)])

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for layer in self.layers:
            seen.append(F.relu(layer(torch.cat(seen, 1))))
        return torch.cat(seen, 1)


class Branches(nn.Module):
    """Four branches of different lengths, and an input that is read at both ends."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(n)]) for n in (1, 2, 4, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([*(branch(x) for branch in self.branches), x], 1)


class Functional(nn.Module):
    """No submodules, and no two layers alike: nothing to open, nothing to count."""

    def __init__(self, layers: int = 100) -> None:
        super().__init__()
        self.weights = nn.ParameterList(
            [
                nn.Parameter(torch.zeros(4 + n % 3, 3 if n == 0 else 4 + (n - 1) % 3, 3, 3))
                for n in range(layers)
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        for weight in self.weights:
            x = F.relu(F.conv2d(x, weight, padding=1))
        return x.mean((2, 3))


class Attention(nn.Module):
    def __init__(self, blocks: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 16, 8, stride=8)
        self.position = nn.Parameter(torch.zeros(1, 16, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, blocks, enable_nested_tensor=False)
        self.head = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.encoder(x).mean(1))


def chain(layers: int, *, alike: bool) -> nn.Sequential:
    """Convolution, normalisation and activation over and over."""
    parts: list[nn.Module] = []
    for index in range(layers):
        inside = 8 if alike or index % 2 else 9
        outside = 8 if alike or not index % 2 else 9
        parts += [nn.Conv2d(inside, outside, 3, padding=1), nn.BatchNorm2d(outside), nn.ReLU()]
    return nn.Sequential(nn.Conv2d(3, 8 if alike else 9, 1), *parts)


NETWORKS = {
    "resnet": ResNet(),
    "unet": UNet(),
    "dense": Dense(),
    "branches": Branches(),
    "functional": Functional(),
    "attention": Attention(),
    "400 layers alike": chain(133, alike=True),
    "400 layers": chain(133, alike=False),
    "one layer": nn.Conv2d(3, 4, 3),
    **{name: registry.build(name) for name in ("document_003", "document_001")},
}
ANALYSES = {name: analyze(network, (3, 32, 32), name=name) for name, network in NETWORKS.items()}
every_network = pytest.mark.parametrize("analysis", ANALYSES.values(), ids=ANALYSES)


def said(graph: NetworkGraph) -> list[str]:
    return [" + ".join((", ".join((node.label, *node.settings)), *node.extras)) for node in graph.nodes]


def hostile_network() -> Analysis:
    layers = [nn.Conv2d(3, 3, 1) for _ in HOSTILE]
    names = OrderedDict((name.replace(".", ""), layer) for name, layer in zip(HOSTILE, layers, strict=True))
    return analyze(nn.Sequential(names), (3, 8, 8), name=HOSTILE[0])
