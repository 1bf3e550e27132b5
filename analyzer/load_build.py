"""From a class, a function or an instance to the network, with the arguments that the user gave."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from cifar_report.analyzer.errors import ModelError
from cifar_report.analyzer.load_failure import run_failure
from cifar_report.analyzer.load_spec import Call


def build(value: Any, call: Call, target: str, folder: Path) -> nn.Module:
    """Return the network that a class, a function or an instance stands for."""
    spelt = f"{target}:{call.name}"
    if isinstance(value, nn.Module):
        if call.parentheses:
            raise ModelError(f"{call.name} is a network already", hint=f"leave out the parentheses: {spelt}")
        return value
    if isinstance(value, type) and not issubclass(value, nn.Module):
        raise ModelError(f"{spelt} is a class, but not a network", expected="a subclass of torch.nn.Module")
    if isinstance(value, ModuleType) or not callable(value):
        raise ModelError(f"{spelt} is not a network", found=f"{type(value).__name__}")
    _check_arguments(value, call, spelt)
    try:
        result = value(*call.args, **call.kwargs)
    except (Exception, SystemExit) as error:
        raise run_failure(error, f"{spelt} could not be built", folder) from error
    if isinstance(result, nn.Module):
        return result
    raise ModelError(
        f"{spelt} returned no network", expected="a torch.nn.Module", found=f"{type(result).__name__}"
    )


def _check_arguments(value: Any, call: Call, spelt: str) -> None:
    """Raise the error that names the arguments which a constructor needs and wasn't given."""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return
    try:
        signature.bind(*call.args, **call.kwargs)
    except TypeError as error:
        needed = required(value)
        given = call.args or call.kwargs
        what = f"{spelt} needs {', '.join(needed)}" if needed and not given else f"{spelt}: {error}"
        takes = ", ".join(str(p.replace(annotation=p.empty)) for p in signature.parameters.values())
        hint = f"give them as literals: {example(spelt, needed)}" if needed else ""
        raise ModelError(what, expected=f"{call.name}({takes})", hint=hint) from error


def example(spelt: str, needed: Sequence[str]) -> str:
    """Return how a call with its arguments is written, such as `model.py:Net(num_classes=10, width=...)`."""
    values = {name: "10" if "class" in name else "3" if name.startswith("in_c") else "..." for name in needed}
    arguments = ", ".join(f"{name}={value}" for name, value in values.items())
    return f"{spelt}({arguments})" if arguments else spelt


def required(value: Any) -> tuple[str, ...]:
    """Return the arguments that a class or function can't be called without."""
    if isinstance(value, nn.Module):
        return ()
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):  # a callable without a signature takes what it takes
        return ()
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return tuple(p.name for p in parameters if p.default is p.empty and p.kind not in variable)
