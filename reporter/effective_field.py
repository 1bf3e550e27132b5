"""The effective receptive field: which pixels really move a unit, measured by its gradient.

Luo, Li, Urtasun and Zemel, "Understanding the Effective Receptive Field in Deep Convolutional Neural
Networks", NeurIPS 2016. Convention: the gradient of the sum over the channels of one unit with respect to
the image, its absolute value summed over the image's channels, averaged over images, scaled to a sum of 1.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from cifar_report.analyzer import isolation
from cifar_report.analyzer.analysis import Analysis, ReceptiveField
from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.reporter.field_pictures_geometry import nearest_unit

TWO_SIGMA = 0.9545
"""Share of a Gaussian within two standard deviations on either side."""


@dataclass(frozen=True, slots=True, eq=False)
class EffectiveField:
    """Where the gradient of one unit of a map lies on the image."""

    gradient: NDArray[np.float64]
    """(height, width); sums to 1."""
    theoretical: ReceptiveField
    unit: tuple[int, int]
    """Row and column of the unit in its map."""
    map_size: tuple[int, int]
    images: int
    """How many it was averaged over."""

    def centre(self) -> tuple[float, float]:
        """Return the centre of the unit's theoretical field, or of the image where that is global [px]."""
        field = self.theoretical
        if field.kind == "local" and field.start and field.stride:
            row, column = (
                start + unit * stride
                for start, unit, stride in zip(field.start, self.unit, field.stride, strict=True)
            )
            return row, column
        height, width = self.gradient.shape
        return (height - 1) / 2, (width - 1) / 2

    def profile(self, axis: int) -> NDArray[np.float64]:
        """Return the gradient along an axis, 0 for rows, summed over the other."""
        summed: NDArray[np.float64] = self.gradient.sum(axis=1 - axis)
        return summed

    def extent(self, share: float = TWO_SIGMA) -> tuple[float, float]:
        """Return height and width of the range around the centre with at least that share of the gradient.

        Each axis is measured by itself [px].
        """
        sides = []
        for axis, middle in enumerate(self.centre()):
            profile = self.profile(axis)
            distance = np.abs(np.arange(len(profile)) - middle)
            order = np.argsort(distance, kind="stable")
            enough = np.searchsorted(np.cumsum(profile[order]), share - 1e-9)
            sides.append(float(2 * distance[order][min(int(enough), len(order) - 1)] + 1))
        return sides[0], sides[1]


def measure_effective_field(
    module: nn.Module,
    analysis: Analysis,
    images: Tensor | None = None,
    *,
    count: int = 16,
    seed: int = 0,
) -> EffectiveField:
    """Measure the effective field of the middle unit of the map that enters the final global pooling.

    Without a global pooling it is the last map. The network runs in eval mode on copies of its parameters
    in float32; it and the process are left as they were.

    Args:
        module: the network with its weights; they may be trained or not.
        analysis: of this network for this input.
        images: (N, C, H, W) as the network wants them; `count` images of standard normal noise if None.
        count: of random images.
        seed: of the noise.

    Raises:
        UsageError: the network takes other things than one image, or has no map.
        ModelError: it has no weights, fails, or its unit doesn't depend on the image.
    """
    shape = _image_shape(analysis)
    field, map_shape = _last_map(analysis)
    unit = _middle_unit(field, map_shape, shape)
    with _undisturbed(module):
        if images is None:
            images = torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))
        if not len(images) or tuple(images.shape[1:]) != shape:
            raise UsageError(f"images of shape {tuple(images.shape)} don't fit", expected=f"(N, *{shape})")
        total = torch.zeros(shape[1:], dtype=torch.float64)
        state = _copies(module, analysis.model)
        for image in images:
            total += _gradient(module, state, image[None], map_shape, unit, analysis.model)
    mass = float(total.sum())
    if not np.isfinite(mass) or mass <= 0:
        raise ModelError(
            f"the middle unit of {analysis.model} has no gradient",
            found="not a number" if not np.isfinite(mass) else "0 at every pixel of every image",
            hint="the weights may be broken, or the network detaches its map",
        )
    gradient = (total / mass).numpy()
    return EffectiveField(gradient, field, unit, (map_shape[2], map_shape[3]), len(images))


def _image_shape(analysis: Analysis) -> tuple[int, ...]:
    if len(analysis.inputs) > 1 or len(analysis.input_shape) != 3:
        raise UsageError(
            f"{analysis.model} isn't called with one image",
            expected="a single input of channels, height and width",
            found=" and ".join(str(spec.shape) for spec in analysis.inputs) or str(analysis.input_shape),
        )
    return analysis.input_shape


def _last_map(analysis: Analysis) -> tuple[ReceptiveField, tuple[int, ...]]:
    """Return field and shape of the map before the final pooling: the last operator with that field."""
    field = analysis.totals.receptive_field.before_gap
    for operator in reversed(analysis.operators):
        shape = operator.output_shape
        if operator.receptive_field == field and len(shape) == 4 and max(shape[2:]) > 1:
            return field, shape
    raise UsageError(
        f"{analysis.model} has no map whose units could be looked at",
        expected="an output of channels, height and width before the last pooling",
    )


def _middle_unit(
    field: ReceptiveField, map_shape: Sequence[int], image_shape: Sequence[int]
) -> tuple[int, int]:
    row, column = (nearest_unit(field, map_shape[2 + axis], axis, image_shape[1 + axis]) for axis in (0, 1))
    return row, column


@contextmanager
def _undisturbed(module: nn.Module) -> Iterator[None]:
    """Run a network in eval mode with gradients, and put everything back that it changes."""
    modules = list(module.modules())
    with (
        isolation.attributes(modules),
        isolation.tensors([*module.parameters(), *module.buffers()]),
        isolation.evaluation_mode(modules),
        isolation.random_state(),
        isolation.settings(),
        isolation.eagerly(modules),
        torch.inference_mode(mode=False),
        torch.enable_grad(),
    ):
        sys.stdout = io.StringIO()  # what a network prints is no result; the settings put it back
        yield


def _copies(module: nn.Module, name: str) -> dict[str, Tensor]:
    """Return parameters and buffers for one run: copies, in float32 where they are floats."""
    named = [*module.named_parameters(), *module.named_buffers()]
    if any(tensor.is_meta for _, tensor in named):
        raise ModelError(f"{name} has no weights", found="parameters on the meta device", hint="load weights")
    return {
        key: tensor.detach().clone().to(torch.float32 if tensor.is_floating_point() else tensor.dtype)
        for key, tensor in named
    }


def _gradient(
    module: nn.Module,
    state: dict[str, Tensor],
    image: Tensor,
    map_shape: tuple[int, ...],
    unit: tuple[int, int],
    name: str,
) -> Tensor:
    """Return the absolute gradient of one unit with respect to one image (1, C, H, W): (H, W)."""
    device = next((tensor.device for tensor in state.values()), image.device)
    leaf = image.to(device, torch.float32, copy=True).requires_grad_()
    watch = _Watch(map_shape)
    try:
        with watch:
            output = functional_call(module, state, (leaf,))
    except Exception as error:
        message = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ModelError(f"{name} fails on an image of its input shape", found=message) from error
    first = next((item for item in tree_leaves(output) if isinstance(item, Tensor)), None)
    seen = first if first is not None and tuple(first.shape) == map_shape else watch.last
    if seen is None or not seen.requires_grad:
        raise ModelError(
            f"the map {map_shape} of {name} can't be traced back to the image",
            hint="the network detaches it or runs as a script, whose operators can't be watched",
        )
    (gradient,) = torch.autograd.grad(seen[0, :, unit[0], unit[1]].sum(), leaf, allow_unused=True)
    if gradient is None:
        return torch.zeros(image.shape[2:], dtype=torch.float64)
    return gradient[0].abs().sum(0).double().cpu()


class _Watch(TorchFunctionMode):
    """Remember the last tensor of a shape that any function returns."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self._shape = shape
        self.last: Tensor | None = None

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call the function and look at what it returns."""
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor) and result.shape == self._shape:
            self.last = result
        return result
