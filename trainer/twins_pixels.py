"""Twins of transforms that change levels and leave pixels where they are."""

from __future__ import annotations

from typing import Any

import torch

from cifar_report.trainer.twins_rules import Rule, Shape, Twin, fixed, need

_LUMA = (4899, 9617, 1868)
"""OpenCV's weights of red, green and blue in 1/16384, which come to 0.299, 0.587 and 0.114."""


def _to_gray(transform: Any, shape: Shape) -> Twin:
    method = transform.method
    need(method == "weighted_average", "ToGray", f"method={method!r}")
    need(transform.num_output_channels == shape[0], "ToGray", "another number of channels")
    # albumentations leaves an image of one channel as it is.
    return fixed(transform.p, _luma if shape[0] == 3 else torch.clone)


def _luma(images: torch.Tensor) -> torch.Tensor:
    red, green, blue = images.to(torch.int32).unbind(1)
    level = (red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2] + (1 << 13)) >> 14
    return level.to(torch.uint8).unsqueeze(1).expand(-1, 3, -1, -1)


def _no_op(transform: Any, shape: Shape) -> Twin:
    return fixed(transform.p, torch.clone)


PIXELS: dict[str, Rule] = {"ToGray": _to_gray, "NoOp": _no_op}
