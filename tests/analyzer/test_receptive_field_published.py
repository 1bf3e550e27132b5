"""Figures of Araujo, Norris and Sim, "Computing Receptive Fields of Convolutional Neural Networks".

Distill 2019 (doi 10.23915/distill.00021), whose networks are those of TensorFlow's slim library. They are
rebuilt here with few channels, because channels change nothing; torchvision's own differ where slim does.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch
import torchvision
from torch import Tensor, nn

from cifar_report.analyzer import analyze


def conv(channels: int, kernel: int, stride: int = 1, padding: int | None = None) -> nn.Conv2d:
    return nn.Conv2d(channels, 4, kernel, stride, kernel // 2 if padding is None else padding)


def alexnet_v2() -> nn.Module:
    return nn.Sequential(
        conv(3, 11, 4, 0), nn.ReLU(), nn.MaxPool2d(3, 2), conv(4, 5), nn.ReLU(), nn.MaxPool2d(3, 2),
        *[conv(4, 3) for _ in range(3)], nn.MaxPool2d(3, 2),
    )  # fmt: skip


def vgg16() -> nn.Module:
    layers: list[nn.Module] = [conv(3, 3), conv(4, 3), nn.MaxPool2d(2)]
    for repeats in (2, 3, 3, 3):
        layers += [*[conv(4, 3) for _ in range(repeats)], nn.MaxPool2d(2)]
    return nn.Sequential(*layers)


def mobilenet_v1() -> nn.Module:
    layers: list[nn.Module] = [conv(3, 3, 2)]
    for stride in (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1):
        layers += [nn.Conv2d(4, 4, 3, stride, 1, groups=4), conv(4, 1)]
    return nn.Sequential(*layers)


class Bottleneck(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(conv(4, 1), nn.ReLU(), conv(4, 3, stride), nn.ReLU(), conv(4, 1))
        self.shortcut = nn.MaxPool2d(1, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.shortcut(x) + self.branch(x))


def resnet_v1(units: Sequence[int]) -> nn.Module:
    """Slim puts a block's stride into its last unit, and none into the last block."""
    strides = [s for i, n in enumerate(units) for s in [1] * (n - 1) + [2 if i < 3 else 1]]
    return nn.Sequential(conv(3, 7, 2), nn.MaxPool2d(3, 2, 1), *[Bottleneck(stride) for stride in strides])


@pytest.mark.parametrize(
    ("network", "size", "stride"),
    [
        (alexnet_v2(), 195, 32),
        (vgg16(), 212, 32),
        (mobilenet_v1(), 315, 32),
        (resnet_v1((3, 4, 6, 3)), 483, 32),
        (resnet_v1((3, 4, 23, 3)), 1027, 32),
        (resnet_v1((3, 8, 36, 3)), 1507, 32),
    ],
    ids=["AlexNet v2", "VGG-16", "MobileNet v1", "ResNet-50 v1", "ResNet-101 v1", "ResNet-152 v1"],
)
def test_fields_are_the_published_ones(network: nn.Module, size: int, stride: int) -> None:
    field = analyze(network, (3, 224, 224)).totals.receptive_field.output
    assert (field.kind, field.size, field.stride) == ("local", (size, size), (stride, stride))


@pytest.mark.parametrize(
    ("name", "layer", "size"),
    [
        ("inception_v3", "Mixed_7c", 1311),
        ("resnet50", "layer4", 427),
        ("resnet101", "layer4", 971),
        ("resnet152", "layer4", 1451),
    ],
)
def test_fields_of_torchvisions_networks_are_the_known_ones(name: str, layer: str, size: int) -> None:
    with torch.device("meta"):
        options = {"init_weights": False} if name == "inception_v3" else {}
        network = torchvision.models.get_model(name, **options)
    analysis = analyze(network, (3, 299, 299))
    field = next(row.receptive_field for row in analysis.layers if row.name == layer)
    assert (field.kind, field.size) == ("local", (size, size))
    assert analysis.totals.receptive_field.before_gap == field
