"""Operations other than multiply-accumulates: one small formula per operator, shapes in, number out."""

from __future__ import annotations

from math import ceil, log2, prod

from cifar_report.analyzer import windows
from cifar_report.analyzer.cost_table import Formula, formula
from cifar_report.analyzer.field_elementwise import ELEMENTWISE
from cifar_report.analyzer.field_interpolation import INTERPOLATIONS
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.shapes import spread

OTHER: dict[str, Formula] = {}

FREE = frozenset({
    "view", "reshape", "_unsafe_view", "flatten", "unflatten", "view_as", "reshape_as", "squeeze",
    "unsqueeze", "permute", "transpose", "swapaxes", "swapdims", "t", "numpy_T", "mT", "expand",
    "expand_as", "broadcast_to", "select", "slice", "narrow", "chunk", "split", "split_with_sizes",
    "tensor_split", "unsafe_chunk", "unsafe_split", "unbind", "alias", "detach", "dropout",
    "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "alias_write", "write_slice", "write_select",
    "empty_like", "new_empty", "contiguous", "to", "type_as", "float", "half", "lift_fresh",
    "diagonal", "unfold", "view_as_real", "view_as_complex", "_conj", "_neg_view", "resolve_conj",
    "resolve_neg",
})  # fmt: skip
"""Operators that only rename memory, or do nothing in eval mode."""

MOVES = frozenset({
    "cat", "concat", "concatenate", "stack", "flip", "roll", "pixel_shuffle", "pixel_unshuffle",
    "channel_shuffle", "constant_pad_nd", "reflection_pad1d", "reflection_pad2d", "reflection_pad3d",
    "replication_pad1d", "replication_pad2d", "replication_pad3d", "clone", "copy", "_to_copy", "fill",
    "zero", "zeros_like", "ones_like", "full_like", "rand_like", "randn_like", "new_zeros", "new_ones",
    "new_full", "bernoulli", "uniform", "exponential", "random", "randint_like", "rot90", "repeat",
    "_pad_circular", "im2col", "tril", "triu", "index_put", "_unsafe_index_put", "_index_put_impl",
    "index_copy", "index_fill", "scatter", "masked_scatter", "max_unpool2d", "max_unpool3d", "nonzero",
    "masked_select",
})  # fmt: skip
"""Operators that read and write but compute nothing."""


PICKS = frozenset({"index", "_unsafe_index", "index_select", "take", "gather", "embedding"})
"""Operators that read what they pick, and the index, but not the whole table."""


@formula(OTHER, *sorted(set(ELEMENTWISE) - FREE - MOVES), "masked_fill", "where", "glu")
def elementwise(node: Node) -> int:
    """Count one operation per output element."""
    return node.outputs[0].numel


@formula(OTHER, "batch_norm")
def batch_norm(node: Node) -> int:
    """Scale and shift in eval mode; statistics too when they are taken from the batch."""
    return node.outputs[0].numel * (5 if node.args[5] else 2)


@formula(OTHER, "layer_norm", "group_norm", "instance_norm", "rms_norm", "native_layer_norm")
def norm(node: Node) -> int:
    """Mean, variance, normalise, scale, shift."""
    return node.outputs[0].numel * 5


@formula(OTHER, "softmax", "log_softmax", "_softmax", "_log_softmax")
def softmax(node: Node) -> int:
    """Exponential, sum, divide."""
    return node.outputs[0].numel * 3


@formula(
    OTHER,
    "cumsum",
    "cumprod",
    "logcumsumexp",
    "sort",
    "argsort",
    "msort",
    "topk",
    "cummax",
    "cummin",
    "renorm",
)
def scan(node: Node) -> int:
    """Count one operation per element."""
    return node.outputs[0].numel


@formula(OTHER, *sorted(windows.POOLS))
def pool(node: Node) -> int:
    """Count the window per output element."""
    return node.outputs[0].numel * prod(windows.pool(node).kernel)


@formula(OTHER, "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d",
           "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
           "adaptive_max_pool3d")  # fmt: skip
def adaptive_pool(node: Node) -> int:
    """Count every input element once; bins that don't divide the map overlap by a unit."""
    return int(node.args[0].numel)


@formula(OTHER, "mean", "sum", "amax", "amin", "aminmax", "var", "std", "var_mean", "std_mean", "max",
           "min", "median", "prod", "any", "all", "argmax", "argmin", "logsumexp", "norm",
           "linalg_vector_norm", "nansum", "nanmean", "nanmedian", "kthvalue", "mode",
         "count_nonzero")  # fmt: skip
def reduction(node: Node) -> int:
    """Count one operation per input element."""
    return node.live_inputs[0].numel


@formula(OTHER, *INTERPOLATIONS)
def interpolate(node: Node) -> int:
    """Count the samples that each output element weighs; antialiased, as many more as the map shrinks."""
    value, out = node.args[0].shape[2:], node.outputs[0].shape[2:]
    taps = 1 if "nearest" in node.op else 4 if "cubic" in node.op else 2
    wide = node.op.endswith("_aa")
    samples = prod([ceil(taps * n / m) if wide and n > m else taps for n, m in zip(value, out, strict=True)])
    return node.outputs[0].numel * samples


@formula(OTHER, "grid_sampler")
def grid_sample(node: Node) -> int:
    """Count the samples that each output element weighs: 1 for mode nearest, 4 per axis for bicubic."""
    axes = len(node.outputs[0].shape) - 2
    taps = {0: 2, 1: 1, 2: 4}[node.args[2]]
    return node.outputs[0].numel * int(taps**axes)


@formula(OTHER, "_fft_r2c", "_fft_c2c", "_fft_c2r")
def fourier(node: Node) -> int:
    """5 N log2 N real operations for N complex points, of which a real signal needs half."""
    value: Value = node.args[0]
    points = max(value.numel, node.outputs[0].numel)
    size = prod([max(value.shape[dim], node.outputs[0].shape[dim]) for dim in node.args[1]])
    full = round(5 * points * log2(max(size, 2)))
    return full if node.op == "_fft_c2c" else full // 2


@formula(OTHER, "cdist", "_cdist_forward", "_euclidean_dist")
def distances(node: Node) -> int:
    """Subtract, multiply and add per feature of every pair."""
    return 3 * node.outputs[0].numel * int(node.args[0].shape[-1])


@formula(OTHER, "fractional_max_pool2d", "fractional_max_pool3d")
def fractional_pool(node: Node) -> int:
    """Count the window per output element."""
    axes = 2 if node.op.endswith("2d") else 3
    return node.outputs[0].numel * prod(spread(node.args[1], axes))


@formula(OTHER, "col2im", "index_add", "scatter_add", "scatter_reduce", "embedding_bag", "_embedding_bag",
         "bincount", "histc", "_unique2", "unique_consecutive", "unique_dim", "multinomial", "dot", "vdot",
         "trace")  # fmt: skip
def accumulation(node: Node) -> int:
    """Count one operation per element that is added or counted."""
    if node.op in ("index_add", "scatter_add", "scatter_reduce"):
        return int(node.args[3].numel)
    return node.live_inputs[0].numel
