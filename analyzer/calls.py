"""Which module runs: the calls of a trace, from forward hooks that are there for that trace only."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

from cifar_report.analyzer.graph import ModuleCall, Trace, Value


class Calls:
    """Keeps the stack of module calls.

    Args:
        trace: where calls are added.
        module: the network, for the paths of its submodules.
    """

    def __init__(self, trace: Trace, module: nn.Module) -> None:
        self.trace = trace
        self.paths = {id(child): path for path, child in module.named_modules()}
        self.value_of: Callable[[Tensor], Value]
        self.stack: list[ModuleCall] = []
        self.failed: tuple[BaseException, ModuleCall] | None = None
        """The last exception that ended a call, and the innermost call that it ended."""
        self.called: set[int] = set()
        self.completed = 0
        self.thread = threading.get_ident()

    def elsewhere(self) -> bool:
        """Return whether this is another thread, or no module runs: not for us to see."""
        return not self.stack or threading.get_ident() != self.thread

    def current(self) -> int:
        """Return the index of the innermost call."""
        return self.stack[-1].index

    def enter(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        """Forward pre-hook: a module call begins."""
        if threading.get_ident() != self.thread:
            return
        parent = self.stack[-1] if self.stack else None
        path = self.paths.get(id(module))
        if path is None:
            path = f"{parent.path}.{type(module).__name__}".lstrip(".") if parent else ""
        call = ModuleCall(
            index=len(self.trace.calls),
            path=path,
            module=module,
            parent=parent.index if parent else -1,
            depth=parent.depth + 1 if parent else 0,
            first_node=len(self.trace.nodes),
            reused=id(module) in self.called,
        )
        self.called.add(id(module))
        self.trace.calls.append(call)
        self.stack.append(call)
        call.inputs = self.values_in(args)

    def leave(self, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
        """Forward hook: a module call ends, or an exception ends it, which the network may catch."""
        if threading.get_ident() != self.thread:
            return
        call = self.stack[-1]
        error = sys.exception() if output is None else None
        if error is not None and (self.failed is None or self.failed[0] is not error):
            self.failed = (error, call)
        if len(self.stack) > 1:  # the network itself has hooks of its own to run yet
            self.end(output)

    def end(self, output: Any) -> None:
        """Close the innermost call."""
        call = self.stack[-1]
        call.outputs = self.values_in(output)
        call.last_node = len(self.trace.nodes)
        call.completed = self.completed
        self.completed += 1
        self.stack.pop()

    def values_in(self, data: Any) -> tuple[Value, ...]:
        """Return the values of the tensors in nested arguments or outputs."""
        if isinstance(data, Tensor):
            return (self.value_of(data),)
        if isinstance(data, tuple) and len(data) == 1 and isinstance(data[0], Tensor):
            return (self.value_of(data[0]),)
        return tuple([self.value_of(item) for item in tree_flatten(data)[0] if isinstance(item, Tensor)])
