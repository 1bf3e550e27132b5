"""What a change to a network is, and how it is applied: layers take the place of layers, and go again.

An edit is one decision, such as "dilate conv3" or "48 channels instead of 64 behind conv3". It changes the
constructor's arguments of one layer or of several that have to agree, puts layers before or after one, or
takes one out. The network it is applied to is a copy that shares its tensors with the user's and has module
objects of its own.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

Settings = tuple[tuple[str, Any], ...]
"""Arguments of a constructor by name."""

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
"""Normalisations with a parameter per channel; classes derived from them count."""

_ARGUMENTS: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Conv2d: ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups",
                "bias", "padding_mode"),
    nn.Linear: ("in_features", "out_features", "bias"),
    nn.GroupNorm: ("num_groups", "num_channels", "eps", "affine"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recipe:
    """A layer of `torch.nn` that doesn't exist yet."""

    kind: str
    """Name of its class."""
    args: tuple[Any, ...] = ()
    options: Settings = ()

    def build(self) -> nn.Module:
        """Return the layer."""
        layer: nn.Module = getattr(nn, self.kind)(*self.args, **dict(self.options))
        return layer

    def __str__(self) -> str:
        options = [f"{name}={value!r}" for name, value in self.options]
        return f"{self.kind}({', '.join([*map(repr, self.args), *options])})"


@dataclass(frozen=True, slots=True)
class Change:
    """What becomes of one layer: other arguments, layers before and after it, or others in its place."""

    path: str
    settings: Settings = ()
    """New arguments; the others stay."""
    before: tuple[Recipe, ...] = ()
    after: tuple[Recipe, ...] = ()
    keep: bool = True
    """False takes the layer itself out; then `after` stands in its place."""

    @property
    def is_plain(self) -> bool:
        """Whether the layer stays alone in its place."""
        return self.keep and not self.before and not self.after


@dataclass(frozen=True, slots=True)
class Edit:
    """One decision about a network."""

    kind: str
    """Such as `dilation`; edits of one kind are alternatives to each other."""
    text: str
    """In words, such as `dilate conv3 by 2`."""
    changes: tuple[Change, ...]
    resizes: bool = False
    """The map's size changes behind it, so a linear layer on the flattened map has to follow."""


def merged(edits: Iterable[Edit]) -> tuple[Change, ...] | None:
    """Return several edits of one network as one change per layer; None where they contradict each other."""
    together: dict[str, Change] = {}
    for change in (change for edit in edits for change in edit.changes):
        other = together.get(change.path)
        if other is None or other == change:
            together[change.path] = change
            continue
        names = {name for name, _ in other.settings}
        if not (other.is_plain and change.is_plain) or any(name in names for name, _ in change.settings):
            return None
        together[change.path] = replace(other, settings=other.settings + change.settings)
    return _compatible(together)


def followed(changes: Iterable[Change], edit: Edit) -> tuple[Change, ...] | None:
    """Return changes with an edit of the network that they make; None where it is about a layer they made."""
    together = {change.path: change for change in changes}
    made = tuple([f"{path}." for path, change in together.items() if not change.is_plain])
    for change in edit.changes:
        other = together.get(change.path)
        if change.path.startswith(made):
            return None  # its name there isn't the one it has in the first network
        if other is None:
            together[change.path] = change
        elif other.is_plain:
            settings = {**dict(other.settings), **dict(change.settings)} if change.keep else {}
            together[change.path] = replace(change, settings=tuple(settings.items()))
        else:
            return None
    return _compatible(together)


def _compatible(together: Mapping[str, Change]) -> tuple[Change, ...] | None:
    """Return changes by layer, unless one changes a layer inside of what another takes out."""
    gone = tuple([f"{path}." for path, change in together.items() if not change.keep])
    return None if any(path.startswith(gone) for path in together) else tuple(together.values())


def working_copy(network: nn.Module) -> nn.Module:
    """Return a network of own module objects around the same parameters and buffers."""
    tensors = (*network.parameters(), *network.buffers())
    return copy.deepcopy(network, {id(tensor): tensor for tensor in tensors})


@contextmanager
def applied(network: nn.Module, changes: Iterable[Change], *, values: bool) -> Iterator[None]:
    """Change a working copy for as long as it is entered.

    Args:
        network: a working copy.
        changes: one per layer.
        values: give new layers initial values; without, they have shapes only.
    """
    with nullcontext() if values else _Shapes():
        made = {change.path: changed(network.get_submodule(change.path), change) for change in changes}
    with swapped(network, made):
        yield


class _Shapes(TorchFunctionMode):
    """While it is entered, layers are made without values, and nothing is spent on filling them."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run any torch function."""
        kwargs = kwargs or {}
        if func is torch.empty:
            kwargs = {**kwargs, "device": "meta"}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return kwargs["tensor"]
        return func(*args, **kwargs)


@contextmanager
def swapped(network: nn.Module, made: Mapping[str, nn.Module]) -> Iterator[None]:
    """Put modules in the place of others, by path, wherever these are registered, while it is entered."""
    swaps = {id(network.get_submodule(path)): module for path, module in made.items()}
    places = [
        (parent._modules, name, child)
        for parent in network.modules()
        for name, child in parent._modules.items()
        if child is not None and id(child) in swaps
    ]
    try:
        for modules, name, child in places:
            modules[name] = swaps[id(child)]
        yield
    finally:
        for modules, name, child in places:
            modules[name] = child


def changed(layer: nn.Module, change: Change) -> nn.Module:
    """Return what takes a layer's place; the layer itself stays as it is."""
    kept = [_with_settings(layer, dict(change.settings))] if change.keep else []
    parts = [*(r.build() for r in change.before), *kept, *(r.build() for r in change.after)]
    return parts[0] if len(parts) == 1 else nn.Sequential(*parts)


def arguments(layer: nn.Module) -> dict[str, Any]:
    """Return what a layer was constructed with; empty for what can't be constructed anew."""
    if isinstance(layer, NORMS):
        return {"num_features": layer.num_features}
    names = _ARGUMENTS.get(type(layer), ())
    found = {name: getattr(layer, name) for name in names}
    if "bias" in found:
        found["bias"] = found["bias"] is not None
    return found


def _with_settings(layer: nn.Module, settings: Mapping[str, Any]) -> nn.Module:
    if not settings:
        return layer
    if isinstance(layer, NORMS):
        return _norm_of(layer, settings["num_features"])
    made = type(layer)(**{**arguments(layer), **settings})
    dtype = next((p.dtype for p in layer.parameters()), torch.get_default_dtype())
    return made.to(dtype)


def _norm_of(layer: nn.Module, channels: int) -> nn.Module:
    """Return a normalisation for another number of channels, whatever its class takes besides."""
    made = copy.copy(layer)
    vars(made).update(_parameters={}, _buffers={}, num_features=channels)
    for name, old in layer._parameters.items():
        new = None if old is None else torch.empty(channels, dtype=old.dtype, requires_grad=old.requires_grad)
        made._parameters[name] = None if new is None else nn.Parameter(new, new.requires_grad)
    for name, buffer in layer._buffers.items():
        shape = (channels,) if buffer is not None and buffer.dim() else ()
        made._buffers[name] = None if buffer is None else torch.zeros(shape, dtype=buffer.dtype)
    return made


def describe(change: Change, layer: nn.Module) -> str:
    """Return a change in words, such as `conv3 (Conv2d): dilation 1 -> 2, padding 1 -> 2`."""
    old = arguments(layer)
    parts = [f"{name} {_plain(old[name])} -> {_plain(value)}" for name, value in change.settings]
    after = ", ".join(map(str, change.after))
    if not change.keep:
        parts.append(f"becomes {after}")
    else:
        if change.before:
            parts.append(f"behind {', '.join(map(str, change.before))}")
        if change.after:
            parts.append(f"followed by {after}")
    return f"{change.path} ({type(layer).__name__}): {', '.join(parts)}"


def _plain(value: Any) -> Any:
    """Return `(3, 3)` as `3`."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
