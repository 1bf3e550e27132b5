"""The settings of convolutions and pools, read from an operator's arguments, one number per axis."""

from __future__ import annotations

from typing import Any, NamedTuple

from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.shapes import spread


class Window(NamedTuple):
    """A sliding window; every tuple has one number per spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    """In front of the first unit."""
    dilation: tuple[int, ...]
    groups: int = 1
    in_channels: int | None = None
    out_channels: int | None = None
    transposed: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as JSON-ready data."""
        settings = self._asdict()
        if self.in_channels is None:
            del settings["in_channels"], settings["out_channels"]  # a pool has none
        return settings


CONVOLUTIONS = frozenset({
    "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d",
    "convolution", "_convolution",
})  # fmt: skip

POOLS = frozenset(
    f"{kind}_pool{axes}d{suffix}"
    for kind, suffix in (("max", ""), ("avg", ""), ("max", "_with_indices"))
    for axes in (1, 2, 3)
)


def convolution(node: Node) -> Window:
    """Return the settings of a convolution in any of ATen's spellings."""
    if node.window is None:
        node.window = _read_convolution(node)
    return node.window  # type: ignore[no-any-return]  # the graph doesn't know of windows


def _read_convolution(node: Node) -> Window:
    value: Value = node.args[0]
    weight: Value = node.args[1]
    axes = len(weight.shape) - 2
    if node.op in ("convolution", "_convolution"):
        stride, padding, dilation, transposed, _, groups = node.args[3:9]
    elif node.op.startswith("conv_transpose"):
        transposed, stride, padding = True, node.argument(3, "stride", 1), node.argument(4, "padding", 0)
        groups, dilation = node.argument(6, "groups", 1), node.argument(7, "dilation", 1)
    else:
        transposed, stride, padding = False, node.argument(3, "stride", 1), node.argument(4, "padding", 0)
        dilation, groups = node.argument(5, "dilation", 1), node.argument(6, "groups", 1)
    kernel, dilations = weight.shape[2:], spread(dilation, axes)
    if padding == "same":
        # torch puts the odd pixel behind.
        padding = [d * (k - 1) // 2 for k, d in zip(kernel, dilations, strict=True)]
    elif padding == "valid":
        padding = 0
    out_channels = weight.shape[1] * groups if transposed else weight.shape[0]
    return Window(
        kernel=kernel,
        stride=spread(stride, axes),
        padding=spread(padding, axes),
        dilation=dilations,
        groups=groups,
        in_channels=value.shape[1] if len(value.shape) == axes + 2 else value.shape[0],
        out_channels=out_channels,
        transposed=transposed,
    )


def pool(node: Node) -> Window:
    """Return the settings of a maximum or average pool."""
    if node.window is None:
        node.window = _read_pool(node)
    return node.window  # type: ignore[no-any-return]  # the graph doesn't know of windows


def _read_pool(node: Node) -> Window:
    axes = next(int(digit) for digit in node.op if digit.isdigit())
    kernel = spread(node.args[1], axes)
    dilation = node.argument(4, "dilation", 1) if node.op.startswith("max") else 1
    return Window(
        kernel=kernel,
        stride=spread(node.argument(2, "stride") or kernel, axes),
        padding=spread(node.argument(3, "padding", 0), axes),
        dilation=spread(dilation, axes),
    )
