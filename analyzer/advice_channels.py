"""Which layers have to agree on a number of channels: what a convolution's width drags along.

From a convolution's output forwards, through what leaves the channels as they are, to the layers that
read them; and backwards from every addition to the other layers that write them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from torch import nn

from cifar_report.analyzer.advice_edits import NORMS, Change, Settings
from cifar_report.analyzer.advice_graph import FLATTENING, PER_CHANNEL, Network
from cifar_report.analyzer.analysis import Operator

_TOGETHER = frozenset({"add", "sub", "mul", "div", "maximum", "minimum"})


class _Tangled(Exception):  # never leaves this file
    """The channels can't be followed, or the network's output depends on them."""


@dataclass(frozen=True, slots=True)
class Group:
    """The layers that share a number of channels."""

    channels: int
    writers: tuple[str, ...]
    """Convolutions that produce them."""
    sizes: tuple[tuple[str, str, int], ...]
    """(layer, argument, units per channel) for everything that has to follow."""

    @property
    def name(self) -> str:
        """Its writers in a few words."""
        first, *others = self.writers
        if len(others) > 1:
            return f"{first} and {len(others)} others"
        return " and ".join(self.writers)

    def resized(self, channels: int) -> tuple[Change, ...]:
        """Return the changes that give the group another number of channels."""
        settings: dict[str, Settings] = {}
        for path, argument, units in self.sizes:
            settings[path] = (*settings.get(path, ()), (argument, channels * units))
        return tuple(Change(path, values) for path, values in settings.items())


def group_of(network: Network, start: Operator) -> Group | None:
    """Return the group of a convolution's output; None where its width can't be changed alone."""
    walk = _Walk(network, start.output_shape[1])
    try:
        walk.visit(start, 1)
    except _Tangled:
        return None
    return Group(walk.channels, tuple(walk.writers), tuple(dict.fromkeys(walk.sizes)))


@dataclass
class _Walk:
    network: Network
    channels: int
    sizes: list[tuple[str, str, int]] = field(default_factory=list)
    writers: list[str] = field(default_factory=list)
    seen: dict[int, int] = field(default_factory=dict)
    """Units per channel in the second dimension of each operator's output."""

    def visit(self, start: Operator, units: int) -> None:
        """Take up an operator's output, and everything that its channels reach."""
        waiting = [(start, units)]
        while waiting:
            operator, units = waiting.pop()
            if operator.index in self.seen:
                continue
            self.seen[operator.index] = units
            shape = operator.output_shape
            if len(shape) < 2 or shape[1] != self.channels * units:
                raise _Tangled
            waiting += [(before, units_before) for before, units_before in self.written(operator, units)]
            readers = self.network.readers.get(operator.index, [])
            if not readers:
                raise _Tangled  # the network's output
            for reader in readers:
                waiting += [(reader, after) for after in self.read(reader, operator, units)]

    def written(self, operator: Operator, units: int) -> list[tuple[Operator, int]]:
        """Note how an operator's output gets its channels; return the inputs that it takes them from."""
        leaf = self.network.leaf(operator)
        if operator.op == "conv2d":
            path, layer = self.convolution(leaf)
            if layer.groups == 1:
                self.sizes.append((path, "out_channels", 1))
                self.writers.append(path)
                return []
            self.depthwise(path, layer)
        elif operator.op in FLATTENING:
            before = self.input(operator)
            return [(before, self.units(before))]
        elif operator.op in _TOGETHER:
            inputs = [self.network.operators.get(index) for index in operator.inputs]
            found = [before for before in inputs if before is not None]
            if len(found) != len(inputs):
                raise _Tangled
            return [(before, units) for before in found]
        elif operator.op in PER_CHANNEL:
            self.follow(leaf, units)
        else:
            raise _Tangled
        return [(self.input(operator), units)]

    def read(self, reader: Operator, source: Operator, units: int) -> list[int]:
        """Note how an operator reads the channels; return its own units per channel if it hands them on."""
        leaf = self.network.leaf(reader)
        if reader.op == "conv2d":
            path, layer = self.convolution(leaf)
            if layer.groups == 1:
                self.sizes.append((path, "in_channels", 1))
                return []
            return [units]
        if reader.op in ("linear", "addmm"):
            if leaf is None or type(leaf[1]) is not nn.Linear or leaf[1].in_features != self.channels * units:
                raise _Tangled
            self.sizes.append((leaf[0], "in_features", units))
            return []
        if reader.op in FLATTENING:
            return [self.flattened(reader, source, units)]
        if reader.op in PER_CHANNEL or reader.op in _TOGETHER:
            return [units]
        raise _Tangled

    def flattened(self, reader: Operator, source: Operator, units: int) -> int:
        before, after = source.output_shape, reader.output_shape
        if len(after) < 2 or prod(before[2:]) % prod(after[2:]):
            raise _Tangled
        return units * prod(before[2:]) // prod(after[2:])

    def input(self, operator: Operator) -> Operator:
        before = self.network.input_of(operator)
        if before is None or len(operator.inputs) > 1:
            raise _Tangled
        return before

    def units(self, operator: Operator) -> int:
        units, rest = divmod(operator.output_shape[1], self.channels)
        if rest:
            raise _Tangled
        return units

    def convolution(self, leaf: tuple[str, nn.Module] | None) -> tuple[str, nn.Conv2d]:
        if leaf is None or not isinstance(leaf[1], nn.Conv2d) or type(leaf[1]) is not nn.Conv2d:
            raise _Tangled
        return leaf[0], leaf[1]

    def depthwise(self, path: str, layer: nn.Conv2d) -> None:
        if not layer.groups == layer.in_channels == layer.out_channels == self.channels:
            raise _Tangled
        self.sizes += [(path, argument, 1) for argument in ("in_channels", "out_channels", "groups")]

    def follow(self, leaf: tuple[str, nn.Module] | None, units: int) -> None:
        """Note a layer between, if it has a size for each channel."""
        if leaf is None:
            return
        path, layer = leaf
        if isinstance(layer, NORMS):
            self.sizes.append((path, "num_features", units))
        elif type(layer) is nn.GroupNorm:
            self.sizes.append((path, "num_channels", units))
        elif any(True for _ in layer.parameters()):
            raise _Tangled
