"""Which module runs: the calls of a trace.

`nn.Module._call_impl`, through which every call goes, is wrapped for the time of the trace. Global hooks
would tell as much, but cost three times as long per call, miss arguments by keyword, and end before the
module's own hooks run.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import SUPPORTED_NODES, tree_leaves

from cifar_report.analyzer.graph import ModuleCall, Trace, Value
from cifar_report.analyzer.ledger import Ledger


class Calls:
    """Keeps the stack of module calls.

    Args:
        trace: where calls are added.
        stack: to be kept, the innermost call last.
        ledger: tells the values that tensors hold.
    """

    def __init__(self, trace: Trace, stack: list[ModuleCall], ledger: Ledger) -> None:
        self.trace = trace
        self.stack = stack
        self.ledger = ledger
        self.failed: tuple[BaseException, ModuleCall] | None = None
        """The last exception that ended a call, and the innermost call that it ended."""
        self.stray: str | None = None
        """The first of the network's modules that ran on another thread, where nothing is seen."""
        self.called: set[int] = set()
        self.completed = 0
        self.thread = threading.get_ident()

    def elsewhere(self) -> bool:
        """Return whether this is another thread, or no module runs: not for us to see."""
        return not self.stack or threading.get_ident() != self.thread

    @contextmanager
    def watched(self, instead: Callable[[ModuleCall, Any], Tensor | None]) -> Iterator[None]:
        """Note every call of a module on this thread.

        Args:
            instead: gets a call that has begun and its only argument. It returns the output, with the
                call's inputs and outputs filled in, or None to have the module run.
        """
        base: Any = nn.Module
        original = base._call_impl
        compiler_loaded = "torch._dynamo" in sys.modules
        thread, this_thread = self.thread, threading.get_ident

        def call(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            if this_thread() != thread:
                self.stray = self.stray or self.trace.tree.paths.get(id(module))
                return original(module, *args, **kwargs)
            entered = self.enter(module)
            try:
                output = instead(entered, args[0]) if len(args) == 1 and not kwargs else None
                if output is None:
                    entered.inputs = self.values_in((args, kwargs) if kwargs else args)
                    output = original(module, *args, **kwargs)
                    entered.outputs = self.values_in(output)
            except BaseException as error:
                if self.failed is None or self.failed[0] is not error:
                    self.failed = (error, entered)
                raise
            finally:
                self.leave(entered)
            return output

        base._call_impl = call
        try:
            yield
        finally:
            base._call_impl = original
            if not compiler_loaded and "torch._dynamo" in sys.modules:
                _replace_in_compiler(call, original)

    def enter(self, module: nn.Module) -> ModuleCall:
        """Begin a call."""
        trace, key = self.trace, id(module)
        parent = self.stack[-1] if self.stack else None
        path = trace.tree.paths.get(key)
        if path is None:
            path = f"{parent.path}.{type(module).__name__}".lstrip(".") if parent else ""
        call = ModuleCall(
            len(trace.calls),
            path,
            module,
            parent.index if parent else -1,
            parent.depth + 1 if parent else 0,
            len(trace.nodes),
            reused=key in self.called,
        )
        self.called.add(key)
        trace.calls.append(call)
        self.stack.append(call)
        return call

    def leave(self, call: ModuleCall) -> None:
        """End a call, also one that raised: its caller may catch that."""
        call.last_node = len(self.trace.nodes)
        call.completed = self.completed
        self.completed += 1
        self.stack.pop()

    def blame(self, error: BaseException) -> ModuleCall | None:
        """Return the innermost call that an exception ended, and forget the exception."""
        failed, self.failed = self.failed, None
        return failed[1] if failed is not None and failed[0] is error else None

    def values_in(self, data: Any) -> tuple[Value, ...]:
        """Return the values of the tensors in nested arguments or outputs."""
        if type(data) is tuple and len(data) == 1:
            data = data[0]
        if isinstance(data, Tensor):
            return (self.ledger.value_of(data),)
        if type(data) is list:
            values = self.ledger.values_of(data)
            if values is not None:
                return tuple(values)
        return tuple([self.ledger.value_of(tensor) for tensor in _tensors(data)])


def _replace_in_compiler(ours: Any, original: Any) -> None:
    """Give the compiler torch's own function back: it keeps what it finds when a forward first imports it."""
    for name, module in list(sys.modules.items()):
        if name.startswith("torch._dynamo."):
            for attribute, value in list(vars(module).items()):
                if value is ours:
                    setattr(module, attribute, original)


def _tensors(data: Any) -> list[Tensor]:
    if isinstance(data, Tensor):
        return [data]
    if isinstance(data, dict):
        data = data.values()
    elif not isinstance(data, list | tuple):
        # Torch knows of more containers, such as the data classes that networks return.
        known = type(data) in SUPPORTED_NODES
        return [leaf for leaf in tree_leaves(data) if isinstance(leaf, Tensor)] if known else []
    found: list[Tensor] = []
    for item in data:
        if isinstance(item, Tensor):
            found.append(item)
        elif item is not None:
            found += _tensors(item)
    return found
