"""Run somebody's network and leave no trace: what a forward pass may change is put back after it."""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
import warnings
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, filterfalse, islice
from operator import is_
from typing import Any, TextIO

import torch
from torch import Tensor, nn
from torch.nn.modules import module as nn_module
from torch.nn.parameter import is_lazy

from cifar_report.analyzer.tree import Tree

_CONTAINERS = frozenset({dict, OrderedDict, defaultdict, list, set, deque})
"""What a module keeps things in: hooks and buffers, and its author's caches and counters."""

_GLOBAL_HOOKS = tuple([value for name, value in vars(nn_module).items() if name.startswith("_global_")
                       and isinstance(value, dict)])  # fmt: skip

_ONE_AT_A_TIME = threading.RLock()

_CUDNN = torch.backends.cudnn


def _default_device() -> torch.device | None:
    context = getattr(torch._GLOBAL_DEVICE_CONTEXT, "device_context", None)
    return None if context is None else context.device


def _autocast() -> tuple[Any, ...]:
    return tuple([(torch.is_autocast_enabled(d), torch.get_autocast_dtype(d)) for d in ("cpu", "cuda")])


def _set_autocast(states: tuple[Any, ...]) -> None:
    for device, (enabled, dtype) in zip(("cpu", "cuda"), states, strict=True):
        torch.set_autocast_enabled(device, enabled)
        torch.set_autocast_dtype(device, dtype)


_SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], Any]], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype),
    (_default_device, torch.set_default_device),
    (_autocast, _set_autocast),
    (torch.get_num_threads, torch.set_num_threads),
    (torch.is_grad_enabled, torch.set_grad_enabled),
    (torch.is_anomaly_enabled, torch.set_anomaly_enabled),
    (torch.get_deterministic_debug_mode, torch.set_deterministic_debug_mode),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
    (torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled),
    (lambda: _CUDNN.benchmark, lambda on: setattr(_CUDNN, "benchmark", on)),
    (lambda: _CUDNN.deterministic, lambda on: setattr(_CUDNN, "deterministic", on)),
    (os.getcwd, os.chdir),
    (sys.getrecursionlimit, sys.setrecursionlimit),
)  # fmt: skip
"""How to read and how to set what a forward pass may change in the process."""


@contextmanager
def attributes(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Put back every attribute that the run binds anew: modes, caches, counters, replaced buffers.

    What each submodule's namespace and the containers in it hold is enough for that, because tensors of
    the caller are never written to (the tracer copies them first). Contents are compared by identity:
    tensors can't be compared, and needn't be.
    """
    full: list[Any] = []
    keys: list[Any] = []
    held: list[Any] = []
    empty: list[Any] = []
    seen: set[int] = set()
    level: list[Any] = [*_GLOBAL_HOOKS, *[module.__dict__ for module in modules]]
    while level:
        items = [*chain.from_iterable(map(_items, level))]
        full += level
        keys += chain.from_iterable(level)
        held += items
        inner = [item for item in items if type(item) in _CONTAINERS]
        empty += filterfalse(None, inner)
        seen.update(map(id, level))
        level = [*{id(item): item for item in filter(None, inner) if id(item) not in seen}.values()]
    sizes = [*map(len, full)]
    try:
        yield
    finally:
        for container in filter(None, empty):
            container.clear()
        same = [*map(len, full)] == sizes and all(map(is_, keys, chain.from_iterable(full)))
        if not same or not all(map(is_, held, chain.from_iterable(map(_items, full)))):
            old_keys, old_items = iter(keys), iter(held)
            for container, size in zip(full, sizes, strict=True):
                _refill(container, [*islice(old_keys, size)], [*islice(old_items, size)])


def _items(container: Any) -> Any:
    """Return what a container holds, behind the keys of those that have some."""
    return container.values() if isinstance(container, dict) else container


def _refill(container: Any, keys: list[Any], items: list[Any]) -> None:
    container.clear()
    if isinstance(container, dict):
        container.update(zip(keys, items, strict=True))
    else:
        (container.update if isinstance(container, set) else container.extend)(items)


@contextmanager
def tensors(found: Iterable[Tensor]) -> Iterator[None]:
    """Put back what can be rebound inside parameters and buffers: their data and their `requires_grad`."""
    settled = [tensor for tensor in found if not is_lazy(tensor)]
    data = [tensor.data for tensor in settled]
    before = _looks(settled)
    try:
        yield
    finally:
        if _looks(settled) != before:
            for tensor, own, size, address, requires_grad in zip(settled, data, *before, strict=True):
                if tensor.data_ptr() != address or tensor.size() != size:
                    tensor.data = own
                if tensor.requires_grad != requires_grad:
                    tensor.requires_grad_(requires_grad)


def _looks(tensors: list[Tensor]) -> tuple[list[torch.Size], list[int], list[bool]]:
    """Return what tells whether a tensor was rebound inside: its size, its address, `requires_grad`."""
    grads = [tensor.requires_grad for tensor in tensors]
    return [*map(Tensor.size, tensors)], [*map(Tensor.data_ptr, tensors)], grads


@contextmanager
def evaluation_mode(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Set every submodule to eval mode, and back to its own mode afterwards.

    The flag is set directly: `train()` and `eval()` are methods that networks override.
    """
    training = [module for module in modules if module.training]
    for module in training:
        _set_mode(module, False)
    try:
        yield
    finally:
        for module in training:
            _set_mode(module, True)


def _set_mode(module: nn.Module, training: bool) -> None:
    if isinstance(module, torch.jit.ScriptModule):
        module.training = training  # it lives behind an attribute of the script
    else:
        module.__dict__["training"] = training


@contextmanager
def batches_of_one() -> Iterator[None]:
    """Let normalisation in training mode, which a network may insist on, run on a batch of one."""
    functional: Any = nn.functional
    verify = functional._verify_batch_size
    functional._verify_batch_size = lambda size: None
    try:
        yield
    finally:
        functional._verify_batch_size = verify


@contextmanager
def random_state() -> Iterator[None]:
    """Put back the random states of torch, Python and (when loaded) numpy."""
    numpy_random = sys.modules.get("numpy.random")
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    numpy_state = numpy_random.get_state() if numpy_random else None
    cuda_states = torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]  # untyped in torch
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        random.setstate(python_state)
        if numpy_random:
            numpy_random.set_state(numpy_state)
        if cuda_states:
            torch.cuda.set_rng_state_all(cuda_states)


@contextmanager
def settings() -> Iterator[None]:
    """Put back the settings of torch and of the process, and `sys.path`, warnings filters and streams."""
    before = [read() for read, _ in _SETTINGS]
    path, streams = list(sys.path), (sys.stdout, sys.stderr)
    try:
        with warnings.catch_warnings():
            yield
    finally:
        sys.path[:] = path
        sys.stdout, sys.stderr = streams
        for (read, write), value in zip(_SETTINGS, before, strict=True):
            if read() != value:
                write(value)


@contextmanager
def uncollected() -> Iterator[None]:
    """Put off garbage collection: a full one takes longer than most analyses, and finds nothing of ours."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@contextmanager
def eagerly(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Run compiled functions as they were written. Without the compiler loaded there are none."""
    if "torch._dynamo" not in sys.modules:
        yield
        return
    for module in modules:
        if module._compiled_call_impl is not None:
            module._compiled_call_impl = None  # compiled in place; `attributes` puts it back
    with torch.compiler.set_stance("force_eager"):
        yield


@contextmanager
def undisturbed(tree: Tree, printed: TextIO) -> Iterator[None]:
    """Run a network in eval mode without gradients; what it prints goes to a stream of ours.

    One at a time: much of what is put back afterwards belongs to the process.
    """
    with (
        _ONE_AT_A_TIME,
        attributes(tree.modules),
        tensors((*tree.parameters, *tree.buffers)),
        evaluation_mode(tree.modules),
        batches_of_one(),
        random_state(),
        settings(),
        eagerly(tree.modules),
        torch.inference_mode(),
    ):
        torch.backends.mha.set_fastpath_enabled(False)  # fused attention hides its products
        sys.stdout = printed
        yield
