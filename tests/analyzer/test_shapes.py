"""Shapes that are worked out agree with the kernels', where they claim to know them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cifar_report.analyzer import shapes_rearranged, shapes_sampled  # noqa: F401 - they register rules
from cifar_report.analyzer.graph import Value
from cifar_report.analyzer.shapes import RULES

MAP = torch.empty(1, 4, 6, 8)
VOLUME = torch.empty(2, 3, 4, 5, 6)
TOKENS = torch.empty(1, 5, 12)
COUNTS = torch.ones(1, 4, 6, 8, dtype=torch.int64)
CASES: tuple[tuple[str, tuple[Any, ...], dict[str, Any]], ...] = (
    ("constant_pad_nd", (MAP, [1, 2]), {}),
    ("constant_pad_nd", (MAP, [1, 2, 0, 3], 0.5), {}),
    ("constant_pad_nd", (MAP, [-1, -2, 3, -4, 1, 1, 0, 0]), {}),
    ("constant_pad_nd", (MAP, []), {}),
    ("roll", (MAP, [3, -2], [2, 3]), {}),
    ("roll", (MAP, [3], [-1]), {}),
    ("roll", (MAP, [3]), {}),
    ("linalg_vector_norm", (TOKENS, 2.0, [-1], True), {}),
    ("linalg_vector_norm", (TOKENS, 2.0, [1]), {}),
    ("linalg_vector_norm", (MAP, 1, [1, 3], False), {}),
    ("mean", (MAP, [2, 3], True), {}),
    ("mean", (MAP, [-1]), {}),
    ("clamp_min", (MAP, 1e-12), {}),
    ("clamp_max", (MAP, 3), {}),
    ("clamp", (MAP, 0, 6.0), {}),
    ("clamp", (MAP,), {"max": 6}),
    ("cat", ([MAP, MAP[:, :3]], 1), {}),
    ("cat", ([MAP, MAP], -1), {}),
    ("grid_sampler", (MAP, torch.zeros(1, 5, 7, 2), 0, 0, False), {}),
    ("grid_sampler", (VOLUME, torch.zeros(2, 5, 7, 3, 3), 1, 0, True), {}),
    ("upsample_bilinear2d", (MAP, [3, 9], False, None), {}),
    ("upsample_bilinear2d", (MAP, None, True, [2.0, 3.0]), {}),
    ("upsample_bicubic2d", (MAP, [3, 9], False), {}),
    ("upsample_nearest2d", (MAP, [12, 16], None), {}),
    ("upsample_nearest2d", (MAP, None, [1.0, 2.0]), {}),
    ("_upsample_nearest_exact3d", (VOLUME, None, [2.0, 2.0, 2.0]), {}),
    ("upsample_linear1d", (TOKENS, [7], False, None), {}),
)  # fmt: skip
LEFT_TO_THE_KERNEL: tuple[tuple[str, tuple[Any, ...], dict[str, Any]], ...] = (
    ("constant_pad_nd", (MAP, [-4, -4]), {}),  # nothing is left
    ("roll", (MAP, [1, 2], [4, 1]), {}),  # no such dimension
    ("linalg_vector_norm", (TOKENS, 2.0), {}),
    ("linalg_vector_norm", (TOKENS, 2.0, [1, 1]), {}),
    ("mean", (COUNTS, [2]), {}),  # torch refuses
    ("mean", (COUNTS, [2]), {"dtype": torch.float32}),
    ("clamp_min", (COUNTS, 0.5), {}),  # becomes a float
    ("clamp", (MAP, MAP, None), {}),
    ("cat", ([MAP, COUNTS], 1), {}),
    ("cat", ([MAP, TOKENS], 1), {}),
    ("grid_sampler", (MAP, torch.zeros(2, 5, 7, 2), 0, 0, False), {}),
    ("grid_sampler", (VOLUME, torch.zeros(2, 5, 7, 3, 3), 2, 0, True), {}),
    ("upsample_bilinear2d", (MAP, None, False, [1.3, 1.3]), {}),
    ("upsample_nearest2d", (MAP, [0, 5], None), {}),
)


def valued(item: Any) -> Any:
    """Return arguments with values in place of tensors."""
    if isinstance(item, list):
        return [valued(element) for element in item]
    return Value(1, tuple(item.shape), item.dtype, -1, 1) if isinstance(item, Tensor) else item


@pytest.mark.parametrize(("name", "args", "kwargs"), CASES)
def test_a_rule_says_what_the_kernel_does(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    shape = RULES[name](tuple(valued(item) for item in args), kwargs)
    out = getattr(torch.ops.aten, name)(*args, **kwargs)
    assert shape == tuple(out.shape)
    assert out.dtype == torch.float32


@pytest.mark.parametrize(("name", "args", "kwargs"), LEFT_TO_THE_KERNEL)
def test_what_a_rule_does_not_cover_is_left_to_the_kernel(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    assert RULES[name](tuple(valued(item) for item in args), kwargs) is None
