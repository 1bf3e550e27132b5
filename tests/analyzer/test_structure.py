"""Blocks and structures of known networks."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
import torchvision

from cifar_report.analyzer import analyze
from tests.analyzer.structures import blocks


@pytest.mark.parametrize(("name", "count"), [("vgg11", 5), ("resnet18", 5), ("convnext_tiny", 5)])
def test_blocks_of_known_networks(name: str, count: int) -> None:
    with torch.device("meta"):
        module = torchvision.models.get_model(name)
    assert len(blocks(module, (3, 224, 224))) == count


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("mobilenet_v2", {"depthwise_separable": 17, "gap": 1, "fc_after_gap": 1, "strided_conv": 5}),
        ("mobilenet_v3_small", {"depthwise_separable": 11, "gap": 1, "fc_after_gap": 2, "strided_conv": 5}),
        ("efficientnet_b0", {"depthwise_separable": 16, "gap": 1, "fc_after_gap": 1, "strided_conv": 5}),
        ("convnext_tiny", {"depthwise_separable": 18, "gap": 1, "fc_after_gap": 1, "strided_conv": 4}),
        ("shufflenet_v2_x0_5", {"depthwise_separable": 19, "gap": 1, "fc_after_gap": 1, "max_pool": 1,
                                "strided_conv": 7}),
        ("squeezenet1_1", {"gap": 1, "max_pool": 3, "strided_conv": 1}),
        ("resnet18", {"gap": 1, "fc_after_gap": 1, "max_pool": 1, "strided_conv": 7}),
        ("vgg11", {"max_pool": 5}),
        ("swin_t", {"gap": 1, "fc_after_gap": 1, "strided_conv": 1}),
    ],
)  # fmt: skip
def test_structures_of_known_networks(name: str, expected: dict[str, int]) -> None:
    with torch.device("meta"):
        module = torchvision.models.get_model(name)
    counts = Counter(f.structure for f in analyze(module, (3, 224, 224)).findings if f.found)
    kinds = ("depthwise_separable", "dilated", "gap", "fc_after_gap", "max_pool", "strided_conv")
    assert {kind: counts[kind] for kind in kinds if counts[kind]} == expected
