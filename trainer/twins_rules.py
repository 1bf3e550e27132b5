"""What a twin is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

Shape: TypeAlias = tuple[int, int, int]
"""(C, H, W)."""

Uniform: TypeAlias = NDArray[np.float64]
"""Random numbers from 0 to 1, a row per image."""


class NoTwin(Exception):
    """A transform, or what it is asked to do, can't be done in batches; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Twin:
    """A transform that works on batches of bytes.

    `parameters` takes uniform numbers (N, draws) and returns what they become, (N, M); `apply` takes images
    (B, C, H, W) uint8 and their rows of that, (B, M) float32, and returns images (B, C, H, W) uint8.
    """

    p: float
    """Probability with which an image is hit."""
    draws: int
    """Random numbers per image, besides the one that decides whether it is hit."""
    parameters: Callable[[Uniform], NDArray[Any]]
    apply: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    shape: Shape | None = None
    """Of the images that come out, where it isn't that of those that went in."""


Rule: TypeAlias = Callable[[Any, Shape], Twin]


def fixed(p: float, apply: Callable[[torch.Tensor], torch.Tensor], shape: Shape | None = None) -> Twin:
    """Return a twin without parameters."""
    return Twin(p, 0, lambda uniform: uniform, lambda images, _: apply(images), shape)


def between(uniform: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return uniform numbers as `random.uniform(low, high)` makes them."""
    return low + (high - low) * uniform


def whole(
    uniform: NDArray[np.float64], low: NDArray[Any] | float, high: NDArray[Any] | float
) -> NDArray[np.float64]:
    """Return uniform numbers as whole ones from low to high, both included."""
    return np.floor(low + (high - low + 1) * uniform)


def need(holds: bool, name: str, why: str) -> None:
    """Raise NoTwin unless it holds."""
    if not holds:
        raise NoTwin(f"{name} has no batched twin for {why}")


def to_bytes(values: torch.Tensor) -> torch.Tensor:
    """Round to the nearest level and clip to 0..255, as OpenCV's saturate_cast does."""
    return values.round().clamp_(0, 255).to(torch.uint8)
