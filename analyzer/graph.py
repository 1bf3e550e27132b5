"""The dataflow graph that a trace leaves behind: values, operators, and the module calls around them.

Kept in memory only. Passes (shadows, costs, structure) read it and turn it into an `Analysis`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from cifar_report.analyzer.tree import Tree


class Value:
    """A tensor at one point of the trace; an in-place operator gives its tensor a new value.

    Plain slots instead of a frozen dataclass: one is made per operator, and building it is on the
    path that every analysis waits for.
    """

    __slots__ = ("constant", "dtype", "id", "numel", "producer", "root", "shape")

    def __init__(
        self,
        id: int,
        shape: tuple[int, ...],
        dtype: torch.dtype,
        producer: int,
        root: int,
        constant: Tensor | None = None,
    ) -> None:
        self.id = id
        self.shape = shape
        self.numel = prod(shape)
        """Number of elements."""
        self.dtype = dtype
        self.producer = producer
        """Index of the node that computed it; -1, -2 ... for the network's inputs."""
        self.root = root
        """Id of the value whose memory it shares: its own, or that of the tensor it is a view of."""
        self.constant = constant
        """The real tensor, for what doesn't depend on the network's input: weights, index tables."""

    def __repr__(self) -> str:
        return f"%{self.id}{list(self.shape)}"

    @property
    def live(self) -> bool:
        """True when it depends on the network's input."""
        return self.constant is None


class Node:
    """An operator with its arguments, in which values stand for tensors."""

    __slots__ = ("args", "call", "index", "inputs", "kwargs", "live_inputs", "op", "outputs", "window")

    def __init__(
        self,
        index: int,
        op: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        outputs: tuple[Value, ...],
        call: int,
        inputs: Sequence[Value] | None = None,
    ) -> None:
        self.index = index
        self.op = op
        """ATen name without overload and without the in-place underscore, such as `conv2d`."""
        self.args = args
        self.kwargs = kwargs
        self.outputs = outputs
        self.call = call
        """Index of the innermost module call that ran it."""
        self.inputs = _values((*args, *kwargs.values())) if inputs is None else tuple(inputs)
        """Every value among the arguments, in order, constants too."""
        self.live_inputs = tuple([value for value in self.inputs if value.constant is None])
        """Those that depend on the network's input."""
        self.window: Any = None
        """Settings of a convolution or pool, kept by `windows` after they were read once."""

    def __repr__(self) -> str:
        return f"{self.index}: {self.outputs} = {self.op}{self.args}"

    def argument(self, position: int, name: str, default: Any = None) -> Any:
        """Return an argument that ATen allows by position or by name."""
        if position < len(self.args):
            return self.args[position]
        return self.kwargs.get(name, default)


def _values(arguments: tuple[Any, ...]) -> tuple[Value, ...]:
    found = []
    for argument in arguments:
        if type(argument) is Value:
            found.append(argument)
        elif type(argument) in (list, tuple):
            found += [element for element in argument if type(element) is Value]
    return tuple(found)


@dataclass(slots=True)
class ModuleCall:
    """One call of one module."""

    index: int
    path: str
    module: nn.Module
    parent: int
    depth: int
    first_node: int
    last_node: int = -1
    completed: int = -1
    """Rank in order of completion; -1 while it runs, and for good when it raised."""
    reused: bool = False
    inputs: tuple[Value, ...] = ()
    outputs: tuple[Value, ...] = ()


@dataclass(slots=True)
class Trace:
    """What one run of a network left behind."""

    rung: str
    tree: Tree
    """The network's modules."""
    inputs: tuple[Value, ...] = ()
    image: int = 0
    """Which of the inputs the receptive fields refer to."""
    outputs: tuple[Value, ...] = ()
    nodes: list[Node] = field(default_factory=list)
    calls: list[ModuleCall] = field(default_factory=list)
    """`calls[0]` is the network itself."""
    value_count: int = 0
