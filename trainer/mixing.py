"""Mixup and cutmix: images of a batch mixed in pairs, and their classes with them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch

_STREAM = 4
"""Tells these random numbers apart from the data's and the network's."""


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Images (B, H, W, C), uint8 or mixed to floats in 0..255, and the two classes of each."""

    images: torch.Tensor
    labels: torch.Tensor
    """(B,) int64: the class that `share` of the image belongs to."""
    partners: torch.Tensor | None = None
    """(B,): the class of the rest; None where nothing is mixed."""
    share: float = 1.0


def mix(batch: Batch, mixup: float, cutmix: float, key: tuple[int, ...]) -> Batch:
    """Return a batch in which each image is mixed with another one of it; drawn from `key` alone.

    Args:
        batch: unmixed.
        mixup: alpha of the Beta distribution of the shares; 0 for none. Source: Zhang et al.,
            "mixup", 2017 (arXiv 1710.09412).
        cutmix: the same for the area of a rectangle from the partner; with both, each batch gets
            one of them. Source: Yun et al., "CutMix", 2019 (arXiv 1905.04899).
        key: seed, epoch, step and process.
    """
    if not mixup and not cutmix:
        return batch
    rng = np.random.default_rng((*key, _STREAM))
    cut = rng.random() < (0.5 if mixup and cutmix else float(cutmix > 0))
    alpha = cutmix if cut else mixup
    share = float(rng.beta(alpha, alpha))
    order = torch.from_numpy(rng.permutation(len(batch.labels))).to(batch.images.device)
    others = batch.images[order]
    if cut:
        images, share = _paste(batch.images, others, share, rng)
    else:
        images = batch.images.float().mul_(share).add_(others, alpha=1 - share)
    return Batch(images, batch.labels, batch.labels[order], share)


def _paste(
    images: torch.Tensor, others: torch.Tensor, share: float, rng: np.random.Generator
) -> tuple[torch.Tensor, float]:
    """Return the images with a rectangle of the others, and the share of their own that is left."""
    height, width = images.shape[1:3]
    side = math.sqrt(1 - share) / 2
    row, column = rng.integers(height), rng.integers(width)
    top, bottom = (int(np.clip(row + sign * side * height, 0, height)) for sign in (-1, 1))
    left, right = (int(np.clip(column + sign * side * width, 0, width)) for sign in (-1, 1))
    pasted = images.clone()
    pasted[:, top:bottom, left:right] = others[:, top:bottom, left:right]
    return pasted, 1 - (bottom - top) * (right - left) / (height * width)
