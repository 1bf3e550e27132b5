"""What each operator costs, for a batch of one: one small formula per operator, shapes in, numbers out.

* MACs: multiply-accumulates of convolution, linear, matrix and attention products. Twice that is the
  count of `torch.utils.flop_counter`, and of fvcore it is the count itself.
* elementwise: everything else that computes. One operation per output element for arithmetic and
  activations; 2 for batch normalisation in eval mode (scale and shift, which is what it folds into);
  5 for normalisations that take statistics (mean, variance, normalise, scale, shift); the size of the
  window per output of a pool; one per input element of a reduction; 3 for softmax (exp, sum, divide).
* DMAs: elements read and written, weights included. Views read and write nothing. Every operator
  counts as if nothing stayed in a cache, so the bytes are an upper bound.

An operator that no formula covers costs None, which is not 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

from cifar_report.analyzer import windows
from cifar_report.analyzer.field_elementwise import ELEMENTWISE
from cifar_report.analyzer.graph import Node


@dataclass(frozen=True, slots=True)
class Cost:
    """What one operator costs; None is unknown."""

    macs: int | None = 0
    elementwise: int | None = 0
    dmas: int | None = 0
    traffic_bytes: int | None = 0
    """What `dmas` takes in memory [B]."""


CostRule = Callable[[Node], int]

MACS: dict[str, CostRule] = {}
OTHER: dict[str, CostRule] = {}

FREE = frozenset({
    "view", "reshape", "_unsafe_view", "flatten", "unflatten", "view_as", "reshape_as", "squeeze",
    "unsqueeze", "permute", "transpose", "swapaxes", "swapdims", "t", "numpy_T", "mT", "expand",
    "expand_as", "broadcast_to", "select", "slice", "narrow", "chunk", "split", "split_with_sizes",
    "tensor_split", "unsafe_chunk", "unsafe_split", "unbind", "alias", "detach", "dropout",
    "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "alias_write", "write_slice", "write_select",
    "empty_like", "new_empty", "contiguous", "to", "type_as", "float", "half", "lift_fresh",
})  # fmt: skip
"""Operators that only rename memory, or do nothing in eval mode."""

MOVES = frozenset({
    "cat", "concat", "concatenate", "stack", "flip", "roll", "pixel_shuffle", "pixel_unshuffle",
    "channel_shuffle", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
    "replication_pad1d", "replication_pad2d", "replication_pad3d", "clone", "copy", "_to_copy", "fill",
    "zero", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "new_zeros", "new_ones",
    "new_full", "bernoulli",
})  # fmt: skip
"""Operators that read and write but compute nothing."""


def _register(table: dict[str, CostRule], *names: str) -> Callable[[CostRule], CostRule]:
    def register(function: CostRule) -> CostRule:
        for name in names:
            if name in table:
                raise ValueError(f"operator {name} has a cost already")
            table[name] = function
        return function

    return register


def cost_of(node: Node) -> Cost:
    """Return what a node costs."""
    if node.op in FREE:
        return Cost()
    if node.op in MACS:
        return Cost(MACS[node.op](node), 0, *traffic(node))
    if node.op in OTHER:
        return Cost(0, OTHER[node.op](node), *traffic(node))
    if node.op in MOVES:
        return Cost(0, 0, *traffic(node))
    return Cost(None, None, None, None)


def traffic(node: Node) -> tuple[int, int]:
    """Return how many elements an operator reads and writes, and how many bytes these are."""
    elements = size = 0
    for value in (*node.inputs, *node.outputs):
        elements += value.numel
        size += value.numel * value.dtype.itemsize
    return elements, size


def intensity(macs: int | None, elementwise: int | None, traffic_bytes: int | None) -> float | None:
    """Return the roofline's arithmetic intensity [FLOP/B]: all operations over all bytes moved.

    Below a machine's own ratio of arithmetic to memory speed, memory is what a layer waits for. After
    Williams, Waterman and Patterson, Communications of the ACM 52(4), 2009. None where a figure is
    unknown, or nothing is moved.
    """
    if macs is None or elementwise is None or not traffic_bytes:
        return None
    return (2 * macs + elementwise) / traffic_bytes


@_register(MACS, *sorted(windows.CONVOLUTIONS))
def convolution(node: Node) -> int:
    """Each output element sums over a kernel and its group's channels; transposed, each input one does."""
    value, weight = node.args[:2]
    per_element = prod(weight.shape[1:])
    settings = windows.convolution(node)
    return int(per_element) * int(value.numel if settings.transposed else node.outputs[0].numel)


@_register(MACS, "linear")
def linear(node: Node) -> int:
    """(.., in) x (out, in) -> (.., out): every row costs in x out."""
    return int(node.outputs[0].numel * node.args[1].shape[-1])


@_register(MACS, "matmul", "bmm", "mm")
def matmul(node: Node) -> int:
    """(.., n, k) x (.., k, m) -> (.., n, m): every output element sums k products."""
    return int(node.outputs[0].numel * node.args[0].shape[-1])


@_register(MACS, "addmm", "baddbmm")
def addmm(node: Node) -> int:
    """Count as a product; the addition rides along, as a bias does."""
    return int(node.outputs[0].numel * node.args[1].shape[-1])


@_register(MACS, "scaled_dot_product_attention")
def attention(node: Node) -> int:
    """Q K^T: (.., L, E) x (.., E, S), then the weights times V: (.., L, S) x (.., S, Ev)."""
    query, key, value = node.args[:3]
    rows, columns = prod(query.shape[:-1]), key.shape[-2]
    return int(rows * columns * (query.shape[-1] + value.shape[-1]))


_COPIES = {"alias", "clone", "contiguous", "copy", "detach", "dropout", "to", "_to_copy", "type_as", "float",
           "half", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"}  # fmt: skip


@_register(OTHER, *sorted(set(ELEMENTWISE) - _COPIES))
def elementwise(node: Node) -> int:
    """Count one operation per output element."""
    return node.outputs[0].numel


@_register(OTHER, "batch_norm")
def batch_norm(node: Node) -> int:
    """Scale and shift in eval mode; statistics too when they are taken from the batch."""
    return node.outputs[0].numel * (5 if node.args[5] else 2)


@_register(OTHER, "layer_norm", "group_norm", "instance_norm", "rms_norm")
def norm(node: Node) -> int:
    """Mean, variance, normalise, scale, shift."""
    return node.outputs[0].numel * 5


@_register(OTHER, "softmax", "log_softmax", "_softmax", "_log_softmax")
def softmax(node: Node) -> int:
    """Exponential, sum, divide."""
    return node.outputs[0].numel * 3


@_register(OTHER, "cumsum", "cumprod", "logcumsumexp", "sort", "argsort", "normalize")
def scan(node: Node) -> int:
    """Count one operation per element."""
    return node.outputs[0].numel


@_register(OTHER, *sorted(windows.POOLS))
def pool(node: Node) -> int:
    """Count the window per output element."""
    return node.outputs[0].numel * prod(windows.pool(node).kernel)


@_register(OTHER, "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
           "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
           "adaptive_max_pool3d")  # fmt: skip
def adaptive_pool(node: Node) -> int:
    """Count every input element once; bins that don't divide the map overlap by a unit."""
    return int(node.args[0].numel)


@_register(OTHER, "mean", "sum", "amax", "amin", "aminmax", "var", "std", "var_mean", "std_mean", "max",
           "min", "median", "prod", "any", "all", "argmax", "argmin", "logsumexp", "norm",
           "linalg_vector_norm", "nansum", "nanmean")  # fmt: skip
def reduction(node: Node) -> int:
    """Count one operation per input element."""
    return node.live_inputs[0].numel


@_register(OTHER, "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
           "_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d",
           "upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d",
           "upsample_bicubic2d")  # fmt: skip
def interpolate(node: Node) -> int:
    """Count the samples that each output element weighs."""
    axes = len(node.outputs[0].shape) - 2
    samples = 1 if "nearest" in node.op else 4**axes if "cubic" in node.op else 2**axes
    return node.outputs[0].numel * samples
