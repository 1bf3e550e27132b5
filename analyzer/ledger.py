"""Which value each tensor of a trace holds, and which tensors belong to the caller."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch._C._functorch import get_unwrapped, is_functorch_wrapped_tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.parameter import is_lazy
from torch.overrides import TorchFunctionMode

from cifar_report.analyzer.aliases import Aliases
from cifar_report.analyzer.graph import ModuleCall, Node, Trace, Value
from cifar_report.analyzer.shapes import Shape, shape_of
from cifar_report.analyzer.tree import Tree


class LostTensor(RuntimeError):
    """A tensor came from outside of what the trace sees; on real tensors it can be followed."""


class Ledger:
    """Keeps the books of one trace.

    Tensors that depend on the network's input carry their value as an attribute. Others (parameters,
    index tables) aren't ours to mark, and are found by their id.

    Args:
        trace: where values and nodes are added.
        stack: the module calls that run, the innermost last.
        real: True when tensors have values.
    """

    def __init__(self, trace: Trace, stack: list[ModuleCall], *, real: bool) -> None:
        self.trace = trace
        self.stack = stack
        self.real = real
        self.aliases = Aliases(trace, stack)
        self.newest = self.aliases.newest
        self.constants: dict[int, tuple[Tensor, Value]] = {}
        """Tensors found by their id, and kept alive so that no id comes up twice."""
        self.made: set[int] = set()
        """Storages of constants that the network made during the trace, which it may write to."""
        self.copies: dict[int, torch.UntypedStorage] = {}
        """Copies of the caller's memory that the network wrote to, by storage."""
        self.versions: list[tuple[Tensor, int]] = []
        """These tensors of the caller, and how often they had been written to before; torch counts a write
        even though the copy got it, and would refuse to run backward through the tensor's earlier uses."""
        self.escaped: list[Value] = []
        """Values that left torch, for numpy say, so that what comes in afterwards may depend on them."""
        self.memory: dict[int, tuple[StorageWeakRef, Value]] = {}
        """On real tensors: what depends on the input, by address."""
        if not real:
            for tensor in (*trace.tree.parameters, *trace.tree.buffers):
                if not is_lazy(tensor):
                    self.new_constant(tensor)

    @cached_property
    def may_be_meta(self) -> bool:
        """Whether the network has tensors without values of its own. Looked up when one turns up."""
        tree = self.trace.tree
        return any(tensor.is_meta for tensor in (*tree.parameters, *tree.buffers))

    def new_value(
        self, tensor: Tensor, producer: int, root: int | None = None, shape: Shape | None = None
    ) -> Value:
        """Give a tensor that depends on the input its value. Its shape is read unless it is known."""
        self.trace.value_count = number = self.trace.value_count + 1
        shape = shape_of(tensor) if shape is None else shape
        value = Value(number, shape, tensor.dtype, producer, number if root is None else root)
        self.mark(tensor, value)
        if self.real and root is None and tensor.layout == torch.strided:
            self.memory[tensor.data_ptr()] = (StorageWeakRef(tensor.untyped_storage()), value)  # type: ignore[no-untyped-call]  # untyped in torch
        return value

    def new_constant(self, tensor: Tensor, root: int | None = None, producer: int = -1) -> Value:
        """Give a tensor that doesn't depend on the input its value."""
        self.trace.value_count = number = self.trace.value_count + 1
        number_of_root = number if root is None else root
        value = Value(number, shape_of(tensor), tensor.dtype, producer, number_of_root, constant=tensor)
        self.constants[id(tensor)] = (tensor, value)
        return value

    def mark(self, tensor: Tensor, value: Value) -> None:
        """Say what a tensor holds from now on."""
        if id(tensor) in self.constants:
            self.constants[id(tensor)] = (tensor, value)
        else:
            tensor._traced_value = value  # type: ignore[attr-defined]  # our mark, on a tensor of ours

    def value_of(self, tensor: Tensor) -> Value:
        """Return a tensor's present value."""
        value: Value | None = getattr(tensor, "_traced_value", None)
        if value is None:
            known = self.constants.get(id(tensor))
            value = known[1] if known else self.first_seen(tensor)
        if self.newest and value.root in self.newest:
            fresh = self.aliases.current(value)
            if fresh is not value:
                self.mark(tensor, fresh)
            return fresh
        return value

    def values_of(self, tensors: Sequence[Any]) -> list[Value] | None:
        """Return the values of tensors that operators of the trace made; None unless all of them are such."""
        if not self.newest:
            try:
                return [tensor._traced_value for tensor in tensors]
            except AttributeError:
                pass  # a constant, or no tensor
        return None

    def first_seen(self, tensor: Tensor) -> Value:
        """Return the value of a tensor that no operator of the trace made: nearly always a constant.

        Raises:
            LostTensor: it holds what an operator made, in a form that only real tensors show.
        """
        if is_functorch_wrapped_tensor(tensor):
            return self.value_of(get_unwrapped(tensor))  # vmap's operators work on what is inside
        if not self.real:
            if isinstance(tensor, FakeTensor) or (tensor.is_meta and not self.may_be_meta):
                raise LostTensor
            return self.new_constant(tensor)
        known = self.memory.get(tensor.data_ptr()) if tensor.layout == torch.strided else None
        if known is not None and tensor.numel() and not known[0].expired():  # type: ignore[no-untyped-call]  # untyped in torch
            value = known[1]
            if value.shape == shape_of(tensor) and value.dtype == tensor.dtype:
                tensor._traced_value = value  # type: ignore[attr-defined]  # the same data in another object
                return value
            return self.from_outside(tensor, [value])
        if self.escaped and not any(tensor is own for own in _tensors(self.trace.tree)):
            return self.from_outside(tensor, self.escaped)
        return self.new_constant(tensor)

    def from_outside(self, tensor: Tensor, sources: list[Value]) -> Value:
        """Give a tensor a value that depends on others in a way that nobody saw."""
        node = Node(len(self.trace.nodes), "outside_torch", (list(sources),), {}, (), self.stack[-1].index)
        self.trace.nodes.append(node)
        node.outputs = (self.new_value(tensor, node.index),)
        return node.outputs[0]

    # The caller's tensors

    def is_the_callers(self, tensor: Tensor) -> bool:
        """Return whether the trace found a tensor, rather than made it."""
        if isinstance(tensor, FakeTensor) or id(tensor) not in self.constants:
            return False
        return tensor.untyped_storage()._cdata not in self.made

    def about_to_write(self, target: Tensor, *, copy: bool) -> None:
        """Keep what the network writes to, when it is the caller's, and work on a copy from now on."""
        if not self.is_the_callers(target):
            return
        if not target.is_inference():
            self.versions.append((target, target._version))
        if copy:
            storage = target.untyped_storage()
            if storage._cdata not in self.copies:
                self.copies[storage._cdata] = fresh = storage.clone()  # type: ignore[no-untyped-call]  # untyped in torch
                self.made.add(fresh._cdata)

    def copied(self, tensor: Tensor) -> Tensor:
        """Return a tensor in the copy of its memory, if there is one."""
        storage = self.copies.get(tensor.untyped_storage()._cdata) if tensor.layout == torch.strided else None
        if storage is None:
            return tensor
        with torch.inference_mode(tensor.is_inference()):
            fresh = torch.empty(0, dtype=tensor.dtype, device=tensor.device)
            return fresh.set_(storage, tensor.storage_offset(), tensor.shape, tensor.stride())

    def restore_versions(self) -> None:
        """Take back that torch counted writes to the caller's tensors."""
        for tensor, version in reversed(self.versions):
            torch._C._autograd._unsafe_set_version_counter((tensor,), (version,))


class Exits(TorchFunctionMode):
    """Notes values that leave torch while it is entered: what then comes in may depend on them."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run any torch function, and look at those that hand out a tensor's memory."""
        if func in _EXITS and args:
            value = self.ledger.value_of(args[0])
            if value.live:
                self.ledger.escaped.append(value)
        return func(*args, **(kwargs or {}))


_EXITS = frozenset({Tensor.numpy, Tensor.__array__, Tensor.__dlpack__})


def _tensors(tree: Tree) -> list[Tensor]:
    """Return the tensors that a network's modules hold, in registries and as plain attributes."""
    found: list[Tensor] = []
    for child in tree.modules:
        for item in child.__dict__.values():
            found += [value for value in _members(item) if isinstance(value, Tensor)]
    return found


def _members(item: Any) -> Any:
    if isinstance(item, dict):
        return item.values()
    return item if isinstance(item, list | tuple) else (item,)
