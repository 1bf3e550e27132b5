"""Tensors that an operator runs on in place of the caller's.

The caller's parameters are only looked at, never swapped or moved: a kernel that wants them on the
device of the trace gets a twin, and a network that writes to one of its buffers writes to a copy.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._pytree import tree_flatten, tree_map_only

from cifar_report.analyzer.ledger import Ledger
from cifar_report.analyzer.operators import HIDDEN_WRITES, Op
from cifar_report.analyzer.tree import Tree


class StandIns:
    """Twins without values and copies, each made once.

    Args:
        ledger: the trace's.
        device: of the trace.
        fake: what twins are made by, where they are fake tensors rather than on meta.
    """

    def __init__(self, ledger: Ledger, device: torch.device, fake: FakeTensorMode | None) -> None:
        self.fake = fake
        self._ledger = ledger
        self._device = device
        self._twins: dict[int, Tensor] = {}

    def on_one_device(
        self, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return arguments all on meta as soon as one is: a network built there has no values anyway."""
        if any(isinstance(item, Tensor) and item.is_meta for item in tree_flatten((args, kwargs))[0]):
            args, kwargs = tree_map_only(Tensor, self.twin, (args, kwargs))
        return args, kwargs

    def with_copies(
        self, func: Any, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return arguments in which what the network writes to is a copy of the caller's tensor."""
        if op.mutable:
            if args and isinstance(args[0], Tensor):
                self._ledger.about_to_write(args[0], copy=True)
        elif func._schema.name in HIDDEN_WRITES:
            for statistics in args[3:5]:
                if isinstance(statistics, Tensor):
                    self._ledger.about_to_write(statistics, copy=True)
        if self._ledger.copies:
            args, kwargs = tree_map_only(Tensor, self._ledger.copied, (args, kwargs))
        return args, kwargs

    def twin(self, tensor: Tensor) -> Tensor:
        """Return a tensor without values in place of a real one, to compute with others of that kind."""
        if tensor.is_meta if self.fake is None else isinstance(tensor, FakeTensor):
            return tensor
        if id(tensor) not in self._ledger.constants:
            self._ledger.new_constant(tensor)
        twin = self._twins.get(id(tensor))
        if twin is None:
            with self.fake or nullcontext(), torch.inference_mode(tensor.is_inference()):
                twin = torch.empty_strided(
                    tensor.shape, tensor.stride(), dtype=tensor.dtype, device=self._device
                )
            self._twins[id(tensor)] = twin
        return twin

    def replace_meta(self, tree: Tree) -> None:
        """Give a network that was built on meta fake tensors for the time of the trace."""
        for module in tree.modules:
            for registry in (module._parameters, module._buffers):
                for name, tensor in registry.items():
                    if tensor is not None and tensor.is_meta:
                        registry[name] = twin = self.twin(tensor)  # type: ignore[assignment]  # typed for Parameters, holds any tensor
                        self._ledger.new_constant(twin)
