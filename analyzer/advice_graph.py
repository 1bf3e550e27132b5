"""An analysed network with the way back to its modules: what advice looks at to find what could change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod

from torch import nn

from cifar_report.analyzer.analysis import Analysis, Operator
from cifar_report.analyzer.operators import PRODUCTS
from cifar_report.analyzer.structure_convolutions import PASSING

_NAMELESS = frozenset({"view", "reshape", "permute", "transpose", "channel_shuffle", "flatten"})
PER_CHANNEL = (PASSING - _NAMELESS) | {
    "max_pool2d", "max_pool2d_with_indices", "avg_pool2d", "adaptive_avg_pool2d", "adaptive_max_pool2d",
    "mean", "amax", "dropout2d",
}  # fmt: skip
"""Operators that leave the channels what they are: as many, in the same order."""

FLATTENING = frozenset({"flatten", "view", "reshape", "squeeze", "_unsafe_view"})


@dataclass(frozen=True)
class Network:
    """A network and its analysis."""

    module: nn.Module
    analysis: Analysis

    @cached_property
    def modules(self) -> dict[str, nn.Module]:
        """All modules by dotted path."""
        return dict(self.module.named_modules())

    @cached_property
    def operators(self) -> dict[int, Operator]:
        """By index, as `Operator.inputs` names them."""
        return {operator.index: operator for operator in self.analysis.operators}

    @cached_property
    def readers(self) -> dict[int, list[Operator]]:
        """Operators that read an operator's output, by index."""
        found: dict[int, list[Operator]] = {}
        for operator in self.analysis.operators:
            for index in operator.inputs:
                found.setdefault(index, []).append(operator)
        return found

    @cached_property
    def calls(self) -> Counter[str]:
        """How often each leaf module is called."""
        return Counter(row.name for row in self.analysis.layers if row.kind == "module" and row.leaf)

    @property
    def output_shape(self) -> tuple[int, ...] | None:
        """Of the network's output."""
        return next(row.output_shape for row in self.analysis.layers if row.depth == 0)

    def leaf(self, operator: Operator) -> tuple[str, nn.Module] | None:
        """Return the leaf module that an operator belongs to; None for what a composite's forward does."""
        row = self.analysis.layers[operator.layer]
        module = self.modules.get(row.name)
        if row.kind != "module" or not row.leaf or not row.name or module is None:
            return None
        return row.name, module

    def convolutions(self) -> Iterator[tuple[Operator, str, nn.Conv2d]]:
        """Yield the convolutions that are layers of their own, once each, in order."""
        seen = set()
        for operator in self.analysis.operators:
            leaf = self.leaf(operator) if operator.op == "conv2d" else None
            if leaf and type(leaf[1]) is nn.Conv2d and leaf[0] not in seen:
                seen.add(leaf[0])
                yield operator, leaf[0], leaf[1]

    def input_of(self, operator: Operator) -> Operator | None:
        """Return the operator that computes what another one reads; None for the network's input."""
        return self.operators.get(operator.inputs[0]) if operator.inputs else None

    def input_map(self, operator: Operator) -> tuple[int, ...]:
        """Return the shape of what an operator reads first."""
        before = self.input_of(operator)
        return before.output_shape if before else (1, *self.analysis.input_shape)

    def may_resize(self, operator: Operator) -> bool:
        """Return whether everything behind an operator would follow another size of its map.

        Where a branch meets one that keeps its size, it wouldn't.
        """
        reached, waiting = {operator.index}, [operator]
        while waiting:
            for reader in self.readers.get(waiting.pop().index, []):
                if reader.index not in reached:
                    reached.add(reader.index)
                    waiting.append(reader)
        behind = [self.operators[index] for index in reached if index != operator.index]
        return all(
            before in reached or max(self.operators[before].output_shape[2:], default=1) == 1
            for reader in behind
            for before in reader.inputs
            if before in self.operators
        )

    def host_before(self, operator: Operator) -> tuple[str, nn.Module] | None:
        """Return the last module before an operator that is called once and passes a map on.

        A layer; or, where a function comes last, the outermost module that ends with it.
        """
        before = self.input_of(operator)
        while before is not None:
            leaf = self.leaf(before)
            if leaf and self.calls[leaf[0]] == 1 and len(before.output_shape) == 4:
                return leaf
            if leaf is None and len(before.output_shape) == 4:
                whole = self._ending_with(before)
                if whole:
                    return whole
            if before.op not in PER_CHANNEL and before.op not in FLATTENING:
                return None
            before = self.input_of(before)
        return None

    def _ending_with(self, operator: Operator) -> tuple[str, nn.Module] | None:
        """Return the outermost module but the network itself whose last operator this is."""
        for row in sorted(self.analysis.layers, key=lambda row: row.depth):
            mine = self.analysis.operators[row.first_operator : row.last_operator]
            if row.kind == "module" and row.depth and mine and mine[-1].index == operator.index:
                module = self.modules.get(row.name)
                if module is not None and row.output_shape == operator.output_shape and not row.reused:
                    return row.name, module
        return None

    def flat_heads(self) -> Iterator[tuple[Operator, str, nn.Linear, tuple[int, ...]]]:
        """Yield the linear layers on a flattened map of more than one unit, with the map's shape."""
        for operator in self.analysis.operators:
            leaf = self.leaf(operator) if operator.op in ("linear", "addmm") else None
            if not leaf or type(leaf[1]) is not nn.Linear:
                continue
            before = self.input_of(operator)
            while before is not None and len(before.output_shape) == 2 and before.op not in PRODUCTS:
                before = self.input_of(before)
            shape = before.output_shape if before else ()
            if len(shape) == 4 and prod(shape[2:]) > 1 and prod(shape[1:]) == leaf[1].in_features:
                yield operator, leaf[0], leaf[1], shape


def jump(operator: Operator, stride: int) -> float:
    """Return the distance of neighbouring units in what an operator reads [px]; 1 where it is unknown."""
    return max(operator.receptive_field.stride or (1.0,)) / max(stride, 1)
