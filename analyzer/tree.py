"""A network's modules and what they hold, read in one walk: torch's own generators take a walk each."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn


@dataclass(frozen=True, slots=True)
class Tree:
    """Every module, parameter and buffer once, in torch's order."""

    modules: tuple[nn.Module, ...]
    paths: dict[int, str]
    """By id of a module: its first dotted path."""
    parameters: tuple[nn.Parameter, ...]
    buffers: tuple[Tensor, ...]


def read_tree(root: nn.Module) -> Tree:
    """Walk a network."""
    modules: list[nn.Module] = []
    paths: dict[int, str] = {}
    parameters: dict[int, nn.Parameter] = {}
    buffers: dict[int, Tensor] = {}
    waiting = [("", root)]
    while waiting:
        path, module = waiting.pop()
        if id(module) in paths:
            continue
        paths[id(module)] = path
        modules.append(module)
        for parameter in module._parameters.values():
            if parameter is not None:
                parameters[id(parameter)] = parameter
        for buffer in module._buffers.values():
            if buffer is not None:
                buffers[id(buffer)] = buffer
        children = module._modules
        if children:
            prefix = f"{path}." if path else ""
            inner = [(prefix + name, child) for name, child in children.items() if child is not None]
            waiting.extend(reversed(inner))
    return Tree(tuple(modules), paths, tuple(parameters.values()), tuple(buffers.values()))
