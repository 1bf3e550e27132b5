"""What a network is called with: shapes and dtypes in, tensors out."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from cifar_report.analyzer.analysis import InputSpec
from cifar_report.analyzer.errors import UsageError


@dataclass(frozen=True, slots=True)
class Arguments:
    """Arguments of a forward pass, in which `InputSpec`s stand for tensors, nested as the network wants."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def specs(self) -> tuple[InputSpec, ...]:
        """Return the tensors' descriptions in order, unnamed where they are passed by position."""
        return tuple([spec for _, spec in self._leaves(())])

    def named_specs(self, module: nn.Module) -> tuple[InputSpec, ...]:
        """Return the tensors' descriptions, each named after the argument of `forward` that it is."""
        try:
            names = tuple(inspect.signature(module.forward).parameters)
        except (TypeError, ValueError):
            names = ()
        return tuple([replace(spec, name=name) for name, spec in self._leaves(names)])

    def _leaves(self, names: Sequence[str]) -> Iterator[tuple[str, InputSpec]]:
        for place, item in enumerate(self.args):
            yield from _walk(names[place] if place < len(names) else str(place), item)
        for name, item in self.kwargs.items():
            yield from _walk(name, item)

    def build(
        self, make: Callable[[InputSpec], Tensor]
    ) -> tuple[tuple[Any, ...], dict[str, Any], list[Tensor]]:
        """Return the arguments with tensors in place, and those tensors in order."""
        made: list[Tensor] = []

        def tensor(spec: InputSpec) -> Tensor:
            made.append(make(spec))
            return made[-1]

        return _filled(self.args, tensor), _filled(self.kwargs, tensor), made


def read_inputs(inputs: Any) -> Arguments:
    """Read what a user says that a network is called with.

    Args:
        inputs: one shape without the batch, such as (3, 32, 32); or a list with a shape, an `InputSpec`,
            or a tuple, list or dict of these for every argument; or a dict, for arguments by keyword.
            Anything else in it (None, a number, a tensor) is passed as it is.

    Raises:
        UsageError: no tensor in it, a size that is no positive whole number, an unknown dtype.
    """
    if isinstance(inputs, Arguments):
        return inputs
    if _is_shape(inputs) or isinstance(inputs, InputSpec):
        inputs = [inputs]
    if isinstance(inputs, Mapping):
        arguments = Arguments((), {name: _specs(item) for name, item in inputs.items()})
    elif isinstance(inputs, list | tuple):
        items = [_specs(item) for item in inputs]
        named = {item.name: item for item in items if isinstance(item, InputSpec) and item.name}
        arguments = Arguments(
            tuple([item for item in items if not (isinstance(item, InputSpec) and item.name)]), named
        )
    else:
        raise UsageError(
            f"an input can't be {inputs!r}",
            expected="a shape without the batch, such as (3, 32, 32), or a list of shapes",
        )
    specs = arguments.specs()
    if not specs:
        raise UsageError("there is no input", expected="at least one shape, such as (3, 32, 32)")
    for spec in specs:
        _check(spec)
    return arguments


def parse_input(text: str) -> InputSpec:
    """Read an input from text: `3,32,32`, `77:int64`, or `mask=1,32,32:bool` to pass it by keyword.

    Raises:
        UsageError: not in that form, or an unknown dtype.
    """
    name, equals, rest = text.rpartition("=")
    sizes, _, dtype = rest.partition(":")
    parts = sizes.lower().replace("x", ",").split(",")
    if not all(part.strip().isdecimal() for part in parts) or (equals and not name.strip().isidentifier()):
        raise UsageError(
            f"--input {text!r} is not a shape",
            expected="whole numbers, channels first and without the batch, such as 3,32,32; with a dtype "
            "77:int64; by keyword mask=1,32,32",
        )
    spec = InputSpec(tuple([int(part) for part in parts]), dtype.strip() or None, name.strip() or None)
    _check(spec)
    return spec


def spelled(spec: InputSpec) -> str:
    """Return an input as `parse_input` reads it."""
    name = f"{spec.name}=" if spec.name else ""
    return name + ",".join(map(str, spec.shape)) + (f":{spec.dtype}" if spec.dtype else "")


def image_index(specs: Sequence[InputSpec]) -> int:
    """Return which input the receptive fields refer to: the first one with channels and a map.

    Tokens have neither, and are taken only when there is nothing else.
    """
    for place, spec in enumerate(specs):
        dtype = dtype_of(spec, torch.float32)
        if len(spec.shape) >= 2 and dtype.is_floating_point:
            return place
    return max(range(len(specs)), key=lambda place: (min(len(specs[place].shape), 2), -place))


def dtype_of(spec: InputSpec, default: torch.dtype) -> torch.dtype:
    """Return an input's dtype."""
    return default if spec.dtype is None else getattr(torch, spec.dtype)


def example(spec: InputSpec, default: torch.dtype, device: torch.device) -> Tensor:
    """Return a batch of one with values that any network takes.

    Floats are uniform in [0, 1), drawn apart from the process's random state; integers are 0, which is
    a class, a token and an index everywhere; booleans are true.
    """
    dtype = dtype_of(spec, default)
    shape = (1, *spec.shape)
    if device.type == "meta":
        return torch.empty(shape, dtype=dtype, device=device)
    if dtype.is_floating_point or dtype.is_complex:
        generator = torch.Generator("cpu").manual_seed(0)
        values = torch.rand(shape, generator=generator, dtype=torch.float32, device="cpu")
    else:
        values = torch.full(shape, dtype == torch.bool, device="cpu")
    return values.to(device, dtype)


def _is_shape(item: Any) -> bool:
    numbers = isinstance(item, list | tuple) and bool(item)
    return numbers and all(isinstance(size, Integral) and not isinstance(size, bool) for size in item)


def _specs(item: Any) -> Any:
    """Return one argument with `InputSpec`s in place of shapes."""
    if _is_shape(item):
        return InputSpec(tuple([int(size) for size in item]))
    if isinstance(item, Mapping):
        return {name: _specs(value) for name, value in item.items()}
    if isinstance(item, list | tuple):
        parts = [_specs(value) for value in item]
        return parts if isinstance(item, list) else tuple(parts)
    return item


def _filled(item: Any, make: Callable[[InputSpec], Tensor]) -> Any:
    """Return one argument with tensors in place of `InputSpec`s."""
    if isinstance(item, InputSpec):
        return make(item)
    if isinstance(item, dict):
        return {name: _filled(value, make) for name, value in item.items()}
    if type(item) in (list, tuple):
        return type(item)([_filled(value, make) for value in item])
    return item


def _walk(name: str, item: Any) -> Iterator[tuple[str, InputSpec]]:
    if isinstance(item, InputSpec):
        yield name, item
    elif isinstance(item, Mapping):
        for key, value in item.items():
            yield from _walk(f"{name}.{key}", value)
    elif isinstance(item, list | tuple):
        for place, value in enumerate(item):
            yield from _walk(f"{name}.{place}", value)


def _check(spec: InputSpec) -> None:
    if any(type(size) is not int or size < 1 for size in spec.shape):
        raise UsageError(
            f"input {spec.shape} is not a shape",
            expected="positive whole numbers, channels first and without the batch, such as (3, 32, 32)",
        )
    if spec.dtype is not None and not isinstance(getattr(torch, spec.dtype, None), torch.dtype):
        raise UsageError(
            f"there is no dtype {spec.dtype!r}", expected="float32, float16, bfloat16, int64, bool ..."
        )
