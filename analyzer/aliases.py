"""Writes through views: what a write to a part of a tensor does to the whole, and to its other parts.

A write in place gives its own tensor a new value at once. The tensors that share its memory get theirs
when they are next read: the write is carried from the view to the base, step by step, and from there
to the view that is read, so that the graph holds plain operators only. Writing to `x[:, :4]` becomes
`write_slice(x, new, dim=1, start=0, step=1)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cifar_report.analyzer.graph import ModuleCall, Node, Trace, Value

_SPLITS = frozenset({"chunk", "split", "split_with_sizes", "tensor_split", "unsafe_chunk", "unsafe_split"})
_RESHAPES = frozenset({"view", "_unsafe_view", "unflatten", "view_as", "squeeze", "unsqueeze", "reshape",
                       "flatten"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """How a view came from the tensor that it is a view of."""

    op: str
    """`slice`, `select`, `permute` or `view`; anything else has no way back."""
    arguments: tuple[Any, ...]
    parent: Value
    out: Value


_View = tuple[str, tuple[Any, ...], Value, Value, int, int]
"""An operator with its arguments, what it is a view of, the view, which of several it is and where it starts.
Hardly any view is ever written to, so that it becomes a `Step` when one is."""


class Aliases:
    """Follows the views and the writes of one trace.

    Args:
        trace: where nodes are added.
        stack: the module calls that run, the innermost last.
    """

    def __init__(self, trace: Trace, stack: list[ModuleCall]) -> None:
        self.trace = trace
        self.stack = stack
        self.viewed: set[int] = set()
        """Roots that have views."""
        self.views: dict[int, _View] = {}
        """By id of a view's value."""
        self.newest: dict[int, int] = {}
        """By root: id of the last value written."""
        self.pending: dict[int, list[tuple[Value, Value]]] = {}
        """By root: writes not yet carried to the base, as values before and after."""
        self.bases: dict[int, Value] = {}
        """By root: the whole tensor's value, with all but the pending writes."""

    def add_view(self, parent: Value, op: str, args: tuple[Any, ...], outs: Sequence[Value]) -> None:
        """Note that values are views of another."""
        self.viewed.add(parent.root)
        start = 0
        for place, out in enumerate(outs):
            self.views[out.id] = (op, args, parent, out, place, start)
            if op in _SPLITS:
                start += out.shape[_dim(args, 2, len(out.shape))]

    def add_same(self, before: Value, after: Value) -> None:
        """Note that a tensor got a new value, without a write."""
        if before.id in self.views:
            self.views[after.id] = self.views[before.id]

    def add_write(self, before: Value, after: Value) -> None:
        """Note that a tensor was written to."""
        root = before.root
        self.add_same(before, after)
        if root in self.viewed:
            self.newest[root] = after.id
            self.pending.setdefault(root, []).append((before, after))

    def current(self, value: Value) -> Value:
        """Return a tensor's value after all writes to its memory."""
        root = value.root
        if self.newest[root] <= value.id:
            return value
        for before, after in self.pending.pop(root, ()):
            path = self._path(before)
            base = self.bases.get(root) or (path[0].parent if path else before)
            self.bases[root] = self._put(base, path, after)
        base = self.bases[root]
        for step in self._path(value):
            base = self._view(base, step)
        return base

    def _path(self, value: Value) -> list[Step]:
        """Return the steps from the base to a view."""
        path = []
        while (view := self.views.get(value.id)) is not None:
            path.append(_step(*view))
            value = path[-1].parent
        return path[::-1]

    def _view(self, base: Value, step: Step) -> Value:
        if step.op == "same":
            return base
        value = self._emit(step.op, (base, *step.arguments), step.out)
        self.views[value.id] = (step.op, (base, *step.arguments), step.parent, step.out, 0, 0)
        return value

    def _put(self, base: Value, path: list[Step], written: Value) -> Value:
        """Return a base after a write to the view at the end of a path."""
        if not path:
            return written
        step = path[0]
        inner = self._view(base, step) if len(path) > 1 else base
        new = self._put(inner, path[1:], written)
        if step.op == "same":
            return new
        if step.op == "slice":
            dim, start, _, stride = step.arguments
            return self._emit("write_slice", (base, new, dim, start, stride), base)
        if step.op == "select":
            return self._emit("write_select", (base, new, *step.arguments), base)
        if step.op == "permute":
            order = step.arguments[0]
            return self._emit("permute", (new, [order.index(dim) for dim in range(len(order))]), base)
        if step.op == "view":
            return self._emit("view", (new, list(base.shape)), base)
        return self._emit("alias_write", (base, new), base)

    def _emit(self, op: str, args: tuple[Any, ...], like: Value) -> Value:
        """Add a node that computes nothing: its output lies in memory that is there already."""
        self.trace.value_count = number = self.trace.value_count + 1
        index = len(self.trace.nodes)
        value = Value(number, like.shape, like.dtype, index, like.root)
        self.trace.nodes.append(Node(index, op, args, {}, (value,), self.stack[-1].index))
        return value


def _dim(args: tuple[Any, ...], position: int, rank: int) -> int:
    return int(args[position] if len(args) > position else 0) % rank


def _step(op: str, args: tuple[Any, ...], parent: Value, out: Value, place: int, start: int) -> Step:
    """Return a view operator in one of the forms that have a way back."""
    rank = len(parent.shape)
    if op in _RESHAPES:
        return Step("view", (list(out.shape),), parent, out)
    if op in ("alias", "detach"):
        return Step("same", (), parent, out)
    if op == "permute":
        return Step("permute", ([dim % rank for dim in args[1]],), parent, out)
    if op in ("transpose", "swapaxes", "swapdims", "t", "numpy_T", "mT"):
        order = list(range(rank))
        first, second = (args[1] % rank, args[2] % rank) if len(args) > 2 else (-2 % rank, -1 % rank)
        order[first], order[second] = order[second], order[first]
        return Step("permute", (order,), parent, out)
    if op == "select" and isinstance(args[2], int):
        dim = args[1] % rank
        return Step("select", (dim, args[2] % parent.shape[dim]), parent, out)
    if op == "unbind":
        return Step("select", (_dim(args, 1, rank), place), parent, out)
    if op in ("slice", "narrow") or op in _SPLITS:
        dim = _dim(args, 2 if op in _SPLITS else 1, rank)
        stride = 1
        if op == "slice":
            stride = args[4] if len(args) > 4 else 1
            start = slice(args[2] if len(args) > 2 else None, None).indices(parent.shape[dim])[0]
        elif op == "narrow":
            start = int(args[2])
        return Step("slice", (dim, start, start + out.shape[dim] * stride, stride), parent, out)
    return Step(op, args[1:], parent, out)
