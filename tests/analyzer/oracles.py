"""Two ways to find out what a unit sees that know nothing of shadows or of traces.

* Footprints: run the network with every operator replaced by something positive and linear that looks
  at the same units (a maximum becomes a mean, an activation the identity), and see where the gradient
  of one unit is not zero. In float64; zero means that no path leads there.
* NaN: run the network as it is with NaN in some pixels, and see which units turn NaN.

A footprint ends at the image's border. Give an input that is large enough, or compare the visible part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode, resolve_name
from torch.utils._pytree import tree_leaves, tree_map_only

Extent = tuple[int, int]
"""First and last pixel that a unit sees along an axis; (0, -1) when it sees none."""

_IDENTITIES = {
    "relu", "relu6", "hardtanh", "leaky_relu", "elu", "selu", "celu", "gelu", "silu", "mish", "sigmoid",
    "tanh", "hardswish", "hardsigmoid", "softplus", "prelu", "clamp", "clip", "dropout", "dropout1d",
    "dropout2d", "dropout3d", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "batch_norm",
    "logsigmoid", "softsign", "hardshrink", "exp", "sqrt", "rsqrt", "abs", "neg", "pow", "square",
}  # fmt: skip
_SUMS = {"sub": torch.add, "div": torch.add, "true_divide": torch.add, "truediv": torch.add}


class Linear(TorchFunctionMode):
    """Replace what operators compute, not what they look at, while entered."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the replacement."""
        kwargs = kwargs or {}
        name = (resolve_name(func) or getattr(func, "__name__", "")).rsplit(".", 1)[-1].strip("_")
        name = name.removeprefix("i") if name in ("isub", "idiv", "itruediv") else name
        if name in _IDENTITIES and isinstance(args[0], Tensor):
            return args[0]
        if name in _REPLACED:
            return _REPLACED[name](*args, **kwargs)
        if name in _SUMS:
            return torch.add(*args[:2]) if isinstance(args[0], Tensor) else torch.add(args[1], args[0])
        if name not in ("get", "parameter", "detach", "requires_grad"):
            args, kwargs = tree_map_only(nn.Parameter, _ones, (args, kwargs))
        return func(*args, **kwargs)


def _ones(parameter: Tensor) -> Tensor:
    return torch.ones(parameter.shape, dtype=parameter.dtype)


def _convolution(function: Callable[..., Tensor], axes: int) -> Callable[..., Tensor]:
    """Return a convolution whose weights are all alike.

    Each group's channels are then summed first, and the axes follow one another, which costs next to
    nothing however many channels and taps there are, and reads no weight but its shape.
    """

    def run(
        x: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
        groups: int = 1,
    ) -> Tensor:  # fmt: skip
        out = _channels_summed(x, groups)
        steps, pads, spreads = (
            (s,) * axes if isinstance(s, int | str) else tuple(s) for s in (stride, padding, dilation)
        )
        for axis, taps in enumerate(weight.shape[2:]):
            if taps == steps[axis] == 1 and pads[axis] in (0, "same", "valid"):
                continue
            line = [taps if a == axis else 1 for a in range(axes)]
            window = torch.full((1, 1, *line), 1 / taps, dtype=x.dtype)
            step, pad, spread = (
                tuple([values[a] if a == axis else other for a in range(axes)])
                for values, other in ((steps, 1), (pads, 0), (spreads, 1))
            )
            out = function(out, window, None, step, padding if isinstance(padding, str) else pad, spread)
        return _channels_spread(out, x.shape[0], weight.shape[0], groups)

    return run


def _transposed(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the same for a transposed convolution, all axes at once."""

    def run(
        x: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
    ) -> Tensor:  # fmt: skip
        window = torch.full((1, 1, *weight.shape[2:]), 1 / weight[0, 0].numel(), dtype=x.dtype)
        apart = _channels_summed(x, groups)
        out = function(apart, window, None, stride, padding, output_padding, 1, dilation)
        return _channels_spread(out, x.shape[0], weight.shape[1] * groups, groups)

    return run


def _channels_summed(x: Tensor, groups: int) -> Tensor:
    """Turn (N, C, ...) into (N * groups, 1, ...), the mean over each group's channels."""
    return x.reshape(x.shape[0] * groups, 1, x.shape[1] // groups, *x.shape[2:]).mean(2)


def _channels_spread(x: Tensor, batch: int, channels: int, groups: int) -> Tensor:
    """Turn (N * groups, 1, ...) into (N, channels, ...)."""
    wide = x.expand(-1, channels // groups, *x.shape[2:]).contiguous()  # the network may write to it
    return wide.reshape(batch, channels, *x.shape[2:])


def _linear(x: Tensor, weight: Tensor, bias: Any = None) -> Tensor:
    return x.mean(-1, keepdim=True).expand(*x.shape[:-1], weight.shape[0]).contiguous()


def _product(left: Any, right: Any, *_: Any, **__: Any) -> Tensor:
    """Return the sum of two factors that both depend on the image: products of products overflow."""
    left, right = (_ones(f) if isinstance(f, nn.Parameter) else f for f in (left, right))
    if all(isinstance(factor, Tensor) and factor.requires_grad for factor in (left, right)):
        return torch.add(left, right)
    return torch.mul(left, right)


def _max_pool(axes: int) -> Callable[..., Any]:
    convolve = (F.conv1d, F.conv2d, F.conv3d)[axes - 1]
    pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[axes - 1]

    def run(
        x: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
        ceil_mode: bool = False, return_indices: bool = False,
    ) -> Any:  # fmt: skip
        kernel, step, pad, spread = (
            (s,) * axes if isinstance(s, int) else tuple(s)
            for s in (kernel_size, stride or kernel_size, padding, dilation)
        )
        out = pool(x.detach(), kernel, step, pad, spread, ceil_mode, return_indices=True)
        fills: list[int] = []
        for axis in range(axes):
            reach = (out[0].shape[axis - axes] - 1) * step[axis] + spread[axis] * (kernel[axis] - 1) + 1
            fills = [pad[axis], reach - pad[axis] - x.shape[axis - axes], *fills]
        channels = x.shape[-axes - 1]
        window = torch.ones(channels, 1, *kernel, dtype=x.dtype)
        mean = convolve(F.pad(x, fills), window, None, step, 0, spread, channels)
        return (mean, out[1]) if return_indices else mean

    return run


def _with_mean(x: Tensor, dims: Sequence[int]) -> Tensor:
    return x + x.mean(dim=tuple(dims), keepdim=True)


def _group_norm(x: Tensor, groups: int, *_: Any, **__: Any) -> Tensor:
    split = x.reshape(x.shape[0], groups, -1)
    return _with_mean(split, [2]).reshape(x.shape)


def _attention(q: Tensor, k: Tensor, v: Tensor, *_: Any, **__: Any) -> Tensor:
    return q.mean(-1, keepdim=True) + k.mean((-1, -2), keepdim=True) + v.mean(-2, keepdim=True)


def _maximum(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    return x.mean(*args, **kwargs)


_REPLACED: dict[str, Callable[..., Any]] = {
    **{f"conv{n}d": _convolution(f, n) for n, f in ((1, F.conv1d), (2, F.conv2d), (3, F.conv3d))},
    "conv_transpose1d": _transposed(F.conv_transpose1d),
    "conv_transpose2d": _transposed(F.conv_transpose2d),
    "conv_transpose3d": _transposed(F.conv_transpose3d),
    "linear": _linear,
    "mul": _product,
    "imul": _product,
    "max_pool1d": _max_pool(1),
    "max_pool2d": _max_pool(2),
    "max_pool3d": _max_pool(3),
    "layer_norm": lambda x, shape, *_, **__: _with_mean(x, range(-len(shape), 0)),
    "group_norm": _group_norm,
    "softmax": lambda x, dim=-1, *_, **__: _with_mean(x, [dim]),
    "scaled_dot_product_attention": _attention,
    "adaptive_max_pool2d": F.adaptive_avg_pool2d,
    "amax": _maximum,
}


def footprint(unit: Tensor, image: Tensor) -> list[NDArray[np.bool_]]:
    """Return, per spatial axis, which rows of the image one unit's gradient reaches.

    Args:
        unit: a number computed from the image under `Linear`.
        image: (1, C, ...) with gradient.
    """
    (gradient,) = torch.autograd.grad(unit, image, retain_graph=True, allow_unused=True)
    if gradient is None:
        return [np.zeros(size, dtype=bool) for size in image.shape[2:]]
    reached = (gradient != 0).any(0).any(0)
    axes = range(reached.ndim)
    return [
        reached.any(dim=tuple(a for a in axes if a != axis)).numpy() if len(axes) > 1 else reached.numpy()
        for axis in axes
    ]


def extent(rows: NDArray[np.bool_]) -> Extent:
    """Return the first and last of the rows that are reached."""
    index = np.flatnonzero(rows)
    return (int(index[0]), int(index[-1])) if index.size else (0, -1)


def linear_outputs(
    module: nn.Module, image: Tensor, layers: Iterable[str] = ()
) -> tuple[dict[str, list[Tensor]], list[Tensor]]:
    """Run a network under `Linear`; return the named submodules' output tensors per call, and its own."""
    seen: dict[str, list[Tensor]] = {}
    hooks = []
    for name in layers:

        def keep(_: nn.Module, __: Any, output: Any, name: str = name) -> None:
            seen.setdefault(name, []).append(next(t for t in tree_leaves(output) if isinstance(t, Tensor)))

        hooks.append(module.get_submodule(name).register_forward_hook(keep))
    flags = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    try:
        for parameter, _ in flags:
            parameter.requires_grad_(False)
        with Linear():
            output = module.eval()(image)
    finally:
        for hook in hooks:
            hook.remove()
        for parameter, flag in flags:
            parameter.requires_grad_(flag)
    return seen, [leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor)]


def middle(tensor: Tensor, dims: Sequence[int]) -> Tensor:
    """Return the sum over all channels of the unit in the middle of a map."""
    index = [slice(None)] * tensor.ndim
    for dim in dims:
        index[dim] = slice(tensor.shape[dim] // 2, tensor.shape[dim] // 2 + 1)
    return tensor[tuple(index)].sum()


def field_sizes(
    module: nn.Module, layers: Sequence[str], length: int, width: int = 33, axes: int = 2, channels: int = 3
) -> dict[str, tuple[int, ...]]:
    """Return the extent of a middle unit's footprint on each axis [px], per submodule.

    Each axis is measured on an image that is long there and `width` elsewhere: a footprint along one
    axis doesn't depend on how far the map goes on along another.
    """
    sizes: dict[str, list[int]] = {name: [] for name in layers}
    for axis in range(axes):
        shape = [length if a == axis else width for a in range(axes)]
        image = torch.ones(1, channels, *shape, dtype=torch.float64, requires_grad=True)
        seen, _ = linear_outputs(module, image, layers)
        for name in layers:
            output = seen[name][0]
            unit = middle(output, range(output.ndim - axes, output.ndim))
            first, last = extent(footprint(unit, image)[axis])
            sizes[name].append(last - first + 1)
    return {name: tuple(own) for name, own in sizes.items()}


Bounds = tuple[NDArray[np.int64], NDArray[np.int64]]
"""For every unit of a tensor, the first and last row that it sees; (size, -1) for one that sees none."""


def impulse_rows(
    module: nn.Module,
    shape: Sequence[int],
    axis: int,
    pick: Callable[[Any], Tensor] = lambda output: output,
    above: float = 0.0,
) -> NDArray[np.bool_]:
    """Return which rows each unit of the output sees: (rows, *output's shape without the batch).

    One image per row, dark but for that row, through the network under `Linear`. The network must treat
    the images of a batch apart, and may add no constants.

    Args:
        module: the network.
        shape: the image's, without the batch.
        axis: of the image, 0 for its first behind the channels.
        pick: takes the tensor in question from the network's output.
        above: what counts as light.
    """
    rows = shape[1 + axis]
    images = torch.zeros(rows, *shape, dtype=torch.float64)
    for row in range(rows):
        images[row].select(1 + axis, row).fill_(1.0)
    images.requires_grad_(True)  # tells what depends on the image from what doesn't
    with Linear():
        output = pick(module.eval()(images.clone()))
    return (output.detach().abs() > above).numpy()


def nan_rows(
    module: nn.Module,
    shape: Sequence[int],
    axis: int,
    pick: Callable[[Any], Tensor] = lambda output: output,
    dtype: torch.dtype = torch.float32,
) -> NDArray[np.bool_]:
    """Return the same, of the network as it is: NaN in one row of the image after the other."""
    seen = []
    image = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0)).to(dtype)
    for row in range(shape[1 + axis]):
        spoilt = image.clone()
        spoilt.select(2 + axis, row).fill_(torch.nan)
        with torch.no_grad():
            seen.append(torch.isnan(pick(module.eval()(spoilt)))[0].numpy())
    return np.stack(seen)


def jacobian_rows(
    module: nn.Module, shape: Sequence[int], axis: int, above: float = 1e-12
) -> NDArray[np.bool_]:
    """Return the same, of a smooth network as it is: where the derivatives aren't zero."""
    image = torch.rand(1, *shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    slopes = torch.autograd.functional.jacobian(lambda x: module.eval()(x)[0], image)
    rows = (slopes.abs() > above).movedim(slopes.ndim - len(shape) + 1 + axis, 0)
    return rows.flatten(start_dim=rows.ndim - len(shape)).any(-1).numpy()


def bounds_of(rows: NDArray[np.bool_]) -> Bounds:
    """Return the first and last row that each unit sees."""
    size = len(rows)
    index = np.arange(size).reshape(-1, *[1] * (rows.ndim - 1))
    return np.where(rows, index, size).min(0), np.where(rows, index, -1).max(0)
