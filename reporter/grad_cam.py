"""Where on an image a network looked for its guess: Grad-CAM at its last map.

Source: Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization", ICCV 2017 (doi 10.1109/ICCV.2017.74), equations 1 and 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from cifar_report.analyzer.analysis import Analysis


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """What a network says about some images, and where on them that comes from."""

    scores: NDArray[np.float32]
    """(N, classes)."""
    maps: NDArray[np.float64]
    """(N, H, W) of the images, 0..1, each divided by its own maximum; all 0 where nothing speaks for it."""
    layer: str
    """Whose map was looked at."""


def last_map_layer(analysis: Analysis) -> str | None:
    """Return the last module of the network that returns a map of more than one unit; None without one."""
    for layer in reversed(analysis.layers):
        shape = layer.output_shape or ()
        is_module = layer.leaf and layer.kind == "module" and layer.name
        if is_module and len(shape) == 4 and max(shape[2:]) > 1:
            return layer.name
    return None


def grad_cam(
    module: nn.Module,
    layer: str,
    scores_of: Callable[[Tensor], Tensor],
    images: NDArray[np.uint8],
) -> Heat:
    """Return the heat of each image for the class that the network takes it for.

    The map's channels are weighted with the mean of the score's gradient over the map; their sum, without
    what speaks against the class, is the heat.

    Args:
        module: in eval mode, with its weights.
        layer: name of the module whose map is looked at.
        scores_of: images (N, H, W, C) to scores (N, classes), by way of the module.
        images: uint8.

    Raises:
        ValueError: the layer didn't return a map that the scores depend on.
    """
    seen: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: Any) -> Any:
        if not isinstance(output, Tensor) or output.dim() != 4:
            raise ValueError(f"{layer} returned no map")
        seen.append(output)
        return output.clone()  # what comes next may write into it

    hook = module.get_submodule(layer).register_forward_hook(keep)
    try:
        with torch.inference_mode(mode=False), torch.enable_grad():
            scores = scores_of(torch.from_numpy(np.ascontiguousarray(images)))
            if not seen or not seen[-1].requires_grad:
                raise ValueError(f"the scores can't be traced back to {layer}")
            best = scores.max(dim=1).values.sum()
            (gradient,) = torch.autograd.grad(best, seen[-1])
    finally:
        hook.remove()
    weights = gradient.mean(dim=(2, 3), keepdim=True)
    heat = functional.relu((weights * seen[-1]).sum(dim=1, keepdim=True)).detach()
    large = functional.interpolate(heat, size=images.shape[1:3], mode="bilinear", align_corners=False)
    highest = large.amax(dim=(2, 3), keepdim=True)
    scaled = torch.where(highest > 0, large / highest.clamp(min=torch.finfo(large.dtype).tiny), 0)
    return Heat(scores.detach().numpy(), scaled[:, 0].double().numpy(), layer)
