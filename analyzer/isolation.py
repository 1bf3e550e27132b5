"""Run somebody's network and leave no trace: what a forward pass may change is put back after it."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import torch
from torch import nn

_REGISTRIES = ("_parameters", "_buffers", "_modules")


@contextmanager
def attributes(module: nn.Module) -> Iterator[None]:
    """Put back every attribute that the run binds anew: modes, caches, counters, replaced buffers.

    Shallow copies of each submodule's namespace are enough for that, because tensors of the caller
    are never written to (the tracer copies them first).
    """
    saved = [
        (child.__dict__, dict(child.__dict__), [(name, dict(child.__dict__[name])) for name in _REGISTRIES])
        for child in module.modules()
    ]
    try:
        yield
    finally:
        for namespace, before, registries in saved:
            namespace.clear()
            namespace.update(before)
            for name, entries in registries:
                if namespace[name] != entries or list(namespace[name]) != list(entries):
                    namespace[name].clear()
                    namespace[name].update(entries)


@contextmanager
def evaluation_mode(module: nn.Module) -> Iterator[None]:
    """Set every submodule to eval mode, and back to its own mode afterwards.

    The flag is set directly: `train()` and `eval()` are methods that networks override.
    """
    training = [child for child in module.modules() if child.training]
    for child in training:
        child.__dict__["training"] = False
    try:
        yield
    finally:
        for child in training:
            child.__dict__["training"] = True


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
def slow_attention() -> Iterator[None]:
    """Keep attention and the encoder layer off their fused paths, which hide their products."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


@contextmanager
def default_dtype() -> Iterator[None]:
    """Put back the default dtype, which a forward pass may set."""
    dtype = torch.get_default_dtype()
    try:
        yield
    finally:
        torch.set_default_dtype(dtype)


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Run a network in eval mode without gradients; what it prints goes to standard error."""
    with (
        attributes(module),
        evaluation_mode(module),
        random_state(),
        slow_attention(),
        default_dtype(),
        redirect_stdout(sys.stderr),
        torch.inference_mode(),
    ):
        yield
