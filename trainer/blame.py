"""Which layer a number that isn't finite comes from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import nn


def first_not_finite(module: nn.Module, run: Callable[[], object]) -> str:
    """Return the first layer, in the order of computing, whose weights or output aren't finite.

    Args:
        module: the network.
        run: runs it on the images in question.
    """
    found: list[str] = []

    def look(name: str, layer: nn.Module, inputs: object, output: object) -> None:
        if not found and not _finite(output):
            weights = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
            what = "output" if all(map(_finite, weights)) else "weights"
            found.append(f"the {what} of layer {name or 'network'} ({type(layer).__name__})")

    hooks = [layer.register_forward_hook(partial(look, name)) for name, layer in module.named_modules()]
    try:
        with torch.no_grad():
            run()
    finally:
        for hook in hooks:
            hook.remove()
    return found[0] if found else "the loss itself: every layer's output is finite"


def _finite(value: object) -> bool:
    if isinstance(value, torch.Tensor):
        return bool(value.isfinite().all())
    if isinstance(value, list | tuple):
        return all(map(_finite, value))
    if isinstance(value, dict):
        return all(map(_finite, value.values()))
    return True
