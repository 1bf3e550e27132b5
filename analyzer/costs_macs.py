"""Multiply-accumulates: one small formula per operator, shapes in, number out."""

from __future__ import annotations

from math import prod

from cifar_report.analyzer import windows
from cifar_report.analyzer.cost_table import Formula, formula
from cifar_report.analyzer.graph import Node, Value

MACS: dict[str, Formula] = {}


@formula(MACS, *sorted(windows.CONVOLUTIONS))
def convolution(node: Node) -> int:
    """Each output element sums over a kernel and its group's channels; transposed, each input one does."""
    value, weight = node.args[:2]
    per_element = prod(weight.shape[1:])
    settings = windows.convolution(node)
    return int(per_element) * int(value.numel if settings.transposed else node.outputs[0].numel)


@formula(MACS, "linear")
def linear(node: Node) -> int:
    """(.., in) x (out, in) -> (.., out): every row costs in x out."""
    return int(node.outputs[0].numel * node.args[1].shape[-1])


@formula(MACS, "matmul", "bmm", "mm")
def matmul(node: Node) -> int:
    """(.., n, k) x (.., k, m) -> (.., n, m): every output element sums k products."""
    return int(node.outputs[0].numel * node.args[0].shape[-1])


@formula(MACS, "addmm", "baddbmm")
def addmm(node: Node) -> int:
    """Count as a product; the addition rides along, as a bias does."""
    return int(node.outputs[0].numel * node.args[1].shape[-1])


@formula(MACS, "scaled_dot_product_attention")
def attention(node: Node) -> int:
    """Q K^T: (.., L, E) x (.., E, S), then the weights times V: (.., L, S) x (.., S, Ev)."""
    query, key, value = node.args[:3]
    rows, columns = prod(query.shape[:-1]), key.shape[-2]
    return int(rows * columns * (query.shape[-1] + value.shape[-1]))


@formula(MACS, "mv", "addmv")
def matrix_vector(node: Node) -> int:
    """(n, k) x (k) -> (n)."""
    return int(node.args[-2 if node.op == "mv" else 1].numel)


@formula(MACS, "bilinear")
def bilinear(node: Node) -> int:
    """(.., i) x (out, i, j) x (.., j) -> (.., out): every output element sums i x j products."""
    return int(node.outputs[0].numel * prod(node.args[2].shape[1:]))


@formula(MACS, "lstm", "gru", "rnn_tanh", "rnn_relu")
def recurrent(node: Node) -> int:
    """Every weight matrix of every layer and direction is used once per time step."""
    value: Value = node.args[0]
    lists = [argument for argument in node.args[1:] if isinstance(argument, list)]
    # States have three dimensions, biases one.
    matrices = [weight for group in lists for weight in group if len(weight.shape) == 2]
    return prod(value.shape[:-1]) * sum([int(weight.numel) for weight in matrices])


@formula(MACS, "torchvision::deform_conv2d")
def deformed(node: Node) -> int:
    """Count as a convolution; sampling between pixels is left out."""
    return int(node.outputs[0].numel * prod(node.args[1].shape[1:]))
