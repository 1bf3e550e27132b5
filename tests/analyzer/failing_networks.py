"""Networks that miss one constraint, or two, on purpose: each with what it misses and what it keeps."""

from __future__ import annotations

# ruff: noqa: E501  # sources as they might be found, long lines included
from dataclasses import dataclass
from pathlib import Path

import cifar_report.models.registry as built_in

MODELS = Path(built_in.__file__).parent


@dataclass(frozen=True)
class Failing:
    """A network in source form."""

    name: str
    missed: tuple[str, ...]
    kept: tuple[str, ...]
    text: str
    diff: bool = True
    """False where the source makes others with the layers that have to change."""
    neighbour: str = ""
    """A second file, `parts.py`."""


HEAD = """\
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
"""

FUNCTIONAL = (
    HEAD
    + """\
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(16)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1, stride=2)  # halves the map
        self.norm2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1, stride=2)
        self.norm3 = nn.BatchNorm2d(64)
        self.conv4 = nn.Conv2d(64, 10, kernel_size=3, padding=1)

    def forward(self, x):
        x = F.relu(self.norm1(self.conv1(x)))
        x = F.relu(self.norm2(self.conv2(x)))
        x = F.relu(self.norm3(self.conv3(x)))
        return self.conv4(x).mean((2, 3))
"""
)

SEQUENTIAL = """\
import torch.nn as nn

net = nn.Sequential(
    nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(32, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
    nn.Flatten(),
    nn.Linear(64 * 8 * 8, 10),
)
"""

VIEW = (
    HEAD
    + """\
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1),
            nn.ReLU(),
        )
        self.classify = nn.Linear(2048, 10)

    def forward(self, x):
        x = self.features(x)
        return self.classify(x.view(VIEW))
"""
)

AVERAGED = (
    HEAD
    + """\
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(),
        )
        self.gap = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(self.gap(self.body(x)).flatten(1))
"""
)

RESIDUAL = (
    HEAD.replace("class Net(nn.Module):\n", "")
    + """\
class Block(nn.Module):
    def __init__(self, channels, dilation=1):
        super().__init__()
        self.one = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.two = nn.Conv2d(channels, channels, 3, padding=1, bias=False)

    def forward(self, x):
        return F.relu(x + self.two(F.relu(self.norm(self.one(x)))))


class Net(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, padding=1)
        self.block1 = Block(32)
        self.down = nn.Conv2d(32, 64, 3, stride=2, padding=1)
        self.block2 = Block(64)
        self.classify = nn.Conv2d(64, classes, 1)
        self.gap = nn.AdaptiveAvgPool2d(1)

    def forward(self, x):
        x = self.block1(F.relu(self.stem(x)))
        x = self.block2(F.relu(self.down(x)))
        return self.gap(self.classify(x)).flatten(1)
"""
)

HELPER = """\
from torch import nn


def conv(inside, outside, kernel=3, stride=1, dilation=1):
    layer = nn.Conv2d(inside, outside, kernel, stride, dilation * (kernel - 1) // 2, dilation)
    return nn.Sequential(layer, nn.BatchNorm2d(outside), nn.ReLU())


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            conv(3, 16),
            conv(16, 32, stride=2),
            conv(32, 32),
            conv(32, 64, 3, 2),
            nn.Conv2d(64, 10, 1),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )

    def forward(self, x):
        return self.layers(x)
"""

LOOP = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, widths=(3, 16, 32, 64)):
        super().__init__()
        layers = []
        for inside, outside in zip(widths, widths[1:]):
            layers += [nn.Conv2d(inside, outside, 3, padding=1, stride=2), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.classify = nn.Conv2d(widths[-1], 10, 1)

    def forward(self, x):
        return self.classify(self.features(x)).mean((2, 3))
"""

GROUP_NORM = """\
from torch.nn import AdaptiveAvgPool2d, Conv2d, Flatten, GroupNorm, ReLU, Sequential


def build():
    return Sequential(
        Conv2d(3, 32, 3, padding=1),
        GroupNorm(4, 32),
        ReLU(),
        Conv2d(
            in_channels=32,
            out_channels=64,  # the widest one
            kernel_size=3,
            stride=2,
            padding=1,
        ),
        GroupNorm(4, 64),
        ReLU(),
        Conv2d(64, 10, 3, padding=1),
        AdaptiveAvgPool2d(1),
        Flatten(),
    )
"""

LONE = """\
import torch


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.one = torch.nn.Conv2d(3, 24, 3, padding=1)
        self.depthwise = torch.nn.Conv2d(24, 24, 3, padding=1, groups=24)
        self.two = torch.nn.Conv2d(24, 10, 3, padding=1)

    def forward(self, x):
        x = torch.relu(self.depthwise(torch.relu(self.one(x))))
        return self.two(x).mean((2, 3))
"""

PARTS = """\
from torch import nn


class Part(nn.Module):
    def __init__(self, inside, outside, stride=1):
        super().__init__()
        self.conv = nn.Conv2d(inside, outside, 3, stride=stride, padding=1)
        self.norm = nn.BatchNorm2d(outside)

    def forward(self, x):
        return self.norm(self.conv(x)).relu()


class Tail(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.classify = nn.Conv2d(channels, 10, 1)

    def forward(self, x):
        return self.classify(self.conv(x).relu()).mean((2, 3))
"""

OF_PARTS = """\
from parts import Part, Tail
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = Part(3, 16)
        self.two = Part(16, 32, 2)
        self.tail = Tail(32)

    def forward(self, x):
        return self.tail(self.two(self.one(x)))
"""

LEFT_OVER = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, stride=2, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.pool = nn.AvgPool2d(4)  # 8x8 to 2x2
        self.fc = nn.Linear(32 * 2 * 2, 10)

    def forward(self, x):
        x = self.pool(torch.relu(self.conv2(torch.relu(self.conv1(x)))))
        return self.fc(torch.flatten(x, 1))
"""

HIDDEN = """\
from torch import nn


class Net(nn.Module):
    def __init__(self, hidden: int = 128) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()
        )
        self.head = nn.Sequential(nn.Linear(32 * 8 * 8, hidden), nn.ReLU(), nn.Dropout(0.1), nn.Linear(hidden, 10))

    def forward(self, x):
        return self.head(self.features(x).flatten(1))
"""

FIXED = """\
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, 2, 1), nn.ReLU())
        self.block2 = nn.Sequential(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, 2, 1), nn.ReLU())
        self.block3 = nn.Sequential(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 10, 3, padding=1))
        self.gap = nn.AvgPool2d(8)

    def forward(self, x):
        return self.gap(self.block3(self.block2(self.block1(x)))).view(-1, 10)
"""

REUSED = (
    HEAD
    + """\
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)
"""
)

STAGES = """\
import torch
from torch import nn


class Unit(nn.Module):
    def __init__(self, inside, outside, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.short = nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1, stride)

    def forward(self, x):
        return torch.relu(self.short(x) + self.conv2(torch.relu(self.norm1(self.conv1(x)))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.stage1 = nn.Sequential(*[Unit(16, 16) for _ in range(2)])
        self.stage2 = nn.Sequential(Unit(16, 32, 2), *[Unit(32, 32) for _ in range(2)])
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(self.stage2(self.stage1(self.stem(x))).mean((2, 3)))
"""


def document(number: str) -> str:
    """Return the source of a rebuilt network, as a file of one's own."""
    return (MODELS / f"document_{number}.py").read_text(encoding="utf-8")


FAILING = (
    Failing("field", ("rf > 50",), ("params < 40k", "gap == 1"), FUNCTIONAL),
    Failing("field before pooling", ("rf.before_gap > 20",), ("params < 30k",), FUNCTIONAL),
    Failing("dilated", ("dilated >= 1",), ("params < 30k", "rf > 40"), FUNCTIONAL),
    Failing("two dilated", ("dilated >= 2",), ("params < 30k",), FUNCTIONAL),
    Failing("separable", ("depthwise_separable >= 1",), ("params < 30k", "rf > 40"), FUNCTIONAL),
    Failing("two separable", ("depthwise_separable >= 2",), ("params < 30k", "max_pool == 0"), FUNCTIONAL),
    Failing("separable and dilated", ("depthwise_separable >= 1", "dilated >= 1"), ("params < 30k",), FUNCTIONAL),
    Failing("parameters", ("params < 20k",), ("rf > 40", "gap == 1", "blocks == 3"), FUNCTIONAL),
    Failing("parameters and field", ("params < 25k", "rf > 50"), ("gap == 1",), FUNCTIONAL),
    Failing("multiply-accumulates", ("macs < 2M",), ("rf > 40", "gap == 1"), FUNCTIONAL),
    Failing("blocks", ("blocks == 4",), ("params < 30k", "max_pool == 0"), FUNCTIONAL),
    Failing("one pool", ("max_pool <= 1",), ("params < 70k",), SEQUENTIAL),
    Failing("no pools", ("max_pool == 0",), ("blocks == 3",), SEQUENTIAL),
    Failing("pools and separable", ("max_pool == 0", "depthwise_separable >= 1"), (), SEQUENTIAL),
    Failing("flat head", ("gap == 1",), ("params < 70k", "blocks == 3"), SEQUENTIAL),
    Failing("flat head and field", ("gap == 1", "rf > 50"), ("params < 70k",), SEQUENTIAL),
    Failing("no linear layer", ("layers(Linear) == 0", "gap == 1"), ("fc_after_gap == 0",), SEQUENTIAL),
    Failing("view", ("gap == 1",), ("params < 30k",), VIEW.replace("VIEW", "x.size(0), -1")),
    Failing("view of a fixed size", ("gap == 1",), ("params < 30k",), VIEW.replace("VIEW", "-1, 2048")),
    Failing("linear after pooling", ("fc_after_gap == 0",), ("gap == 1", "params < 16k"), AVERAGED),
    Failing("strided", ("downsampling.strided_3x3 == 3",), ("gap == 1", "params < 16k"), AVERAGED),
    Failing("residual parameters", ("params < 90k",), ("rf > 40", "gap == 1"), RESIDUAL),
    Failing("residual dilated", ("dilated >= 1", "rf > 56"), ("params < 120k",), RESIDUAL),
    Failing("helper", ("rf > 52",), ("params < 40k", "blocks == 3"), HELPER),
    Failing("loop", ("dilated >= 1",), ("params < 30k",), LOOP),
    Failing("group norm", ("params < 18k", "dilated >= 1"), ("gap == 1",), GROUP_NORM),
    Failing("lone depthwise", ("depthwise_separable >= 1",), ("params < 5k",), LONE),
    Failing("two files", ("depthwise_separable >= 1", "params < 10k"), (), OF_PARTS, neighbour=PARTS),
    Failing("pool that leaves 2x2", ("gap == 1",), ("params < 10k",), LEFT_OVER),
    Failing("hidden layer", ("layers(Linear) <= 1", "params < 30k"), (), HIDDEN),
    Failing("fixed window", ("blocks == 4",), ("gap == 1", "params < 40k"), FIXED),
    Failing("tutorial", ("gap == 1", "max_pool == 0"), ("params < 65k",), REUSED),
    Failing("tutorial parameters", ("params < 20k",), ("max_pool == 2",), REUSED),
    Failing("stages", ("params < 50k", "fc_after_gap == 0"), ("gap == 1", "rf > 40"), STAGES, diff=False),
    Failing("document 000", ("depthwise_separable >= 1", "params < 200k"), ("dilated >= 1",), document("000")),
    Failing("document 001", ("depthwise_separable >= 1", "fc_after_gap == 0"), ("params < 1M",), document("001")),
    Failing("document 003", ("dilated >= 1", "downsampling.strided_3x3 == 3 or dilated >= 2"),
            ("params < 100k", "rf > 52", "depthwise_separable >= 2"), document("003")),
    Failing("document 004", ("fc_after_gap == 0", "rf > 52"), ("params < 200k", "dilated >= 1"), document("004")),
)  # fmt: skip
