"""Weights from a file into a network, without running anything that the file holds.

Shapes alone decide what an analysis finds, so weights change it only for a network whose path depends on
their values. What they show otherwise is that file and network fit.
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from cifar_report.analyzer.errors import ModelError, UsageError, did_you_mean

State = Mapping[str, Any]

_NESTED = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params")
"""Where training programs keep the weights, beside the optimizer's state."""

_SHOWN = 5
"""How many keys of a kind are named."""

_ALONE = "torch.save(network.state_dict(), 'weights.pt')"


def load_weights(module: nn.Module, path: Path) -> str:
    """Load a file of weights into a network.

    Args:
        module: has its own values, not on meta. After a ModelError it may hold some of the file's.
        path: safetensors, or what `torch.save` makes of a state dict, bare or inside of a checkpoint.

    Returns:
        What was loaded, and what had to be looked through for it.

    Raises:
        UsageError: there is no such file, or it holds no weights, or more than `weights_only` reads.
        ModelError: keys are missing or unexpected, or shapes differ.
    """
    content = _read(path)
    state, inside = _state_dict(content, path)
    state, prefix = _without_prefix(state, module)
    try:
        module.load_state_dict(state)
    except Exception as error:  # a network may have loading of its own, which may raise anything
        raise _misfit(module, state, path, error) from error
    looked = [f"taken from {inside!r}"] if inside else []
    looked += [f"without the prefix {prefix!r}"] if prefix else []
    return f"{path}: {len(state):,} tensors fit the network{''.join(f', {text}' for text in looked)}"


def _read(path: Path) -> Any:
    """Return a file's content, whichever of the two formats it has."""
    if not path.exists():
        near = get_close_matches(path.name, [other.name for other in path.parent.glob("*")], n=1)
        hint = did_you_mean([str(path.parent / name) for name in near])
        raise UsageError(f"there is no file {path}", hint=hint)
    if path.is_dir():
        raise UsageError(f"{path} is a folder", expected="a file of weights")
    with path.open("rb") as file:
        start = file.read(100)
    if start[8:9] == b"{":
        return _read_safetensors(path)
    if start.startswith((b"PK\x03\x04", b"\x80")):
        return _read_torch(path)
    hint = "git lfs pull" if start.startswith(b"version https://git-lfs") else ""
    found = f"begins with {start[:30]!r}" if start else "an empty file"
    raise UsageError(
        f"{path} is no file of weights",
        expected="safetensors or a PyTorch checkpoint",
        found=found,
        hint=hint,
    )


def _read_safetensors(path: Path) -> Any:
    """Return the tensors of a safetensors file."""
    try:
        library = importlib.import_module("safetensors.torch")
    except ModuleNotFoundError:
        raise UsageError(
            f"{path} needs safetensors, which is not installed", hint="pip install safetensors"
        ) from None
    try:
        return library.load_file(path)
    except Exception as error:  # damaged in one of many ways
        raise _damaged(path, error) from error


def _read_torch(path: Path) -> Any:
    """Return what `torch.load` reads without running code."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about tensors stored by older versions
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # damaged in one of many ways
        if "TorchScript" in str(error):
            raise UsageError(
                f"{path} is a TorchScript archive, not weights",
                hint=f"where you trust it: network = torch.jit.load('{path}'); {_ALONE}",
            ) from error
        if "Unsupported" not in str(error) and "weights_only" not in str(error):
            raise _damaged(path, error) from error
        raise _pickled(path, str(error)) from error


def _damaged(path: Path, error: Exception) -> UsageError:
    said = " ".join(str(error).split())[:200]
    return UsageError(f"{path} can't be read: it is damaged or cut short", found=said or type(error).__name__)


def _pickled(path: Path, said: str) -> UsageError:
    """Return the message for objects besides tensors, which only running code could read."""
    try:
        kinds = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:  # of the format before PyTorch 1.6
        kinds = [word for word in said.split() if word.startswith(("torch.nn.", "__main__."))]
    whole = any(kind.startswith("torch.nn.modules") for kind in kinds)
    return UsageError(
        f"{path} is a whole pickled network" if whole else f"{path} holds objects besides weights",
        expected="tensors only: reading anything else could run what the file's author wants",
        found=", ".join(sorted(kinds)[:_SHOWN]),
        hint=f"where you trust it: network = torch.load('{path}', weights_only=False); {_ALONE}"
        if whole
        else "where you trust it, load it with weights_only=False and save its state dict alone",
    )


def _state_dict(content: Any, path: Path) -> tuple[State, str]:
    """Return the weights in what a file holds, and the name under which they were found there."""
    if _is_state_dict(content):
        return content, ""
    inside = {key: value for key, value in content.items() if _is_state_dict(value)} if isinstance(
        content, dict
    ) else {}  # fmt: skip
    for name in _NESTED:
        if name in inside:
            return inside[name], name
    if len(inside) == 1:
        return next((value, str(name)) for name, value in inside.items())
    keys = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
    raise UsageError(
        f"{path} holds several state dicts" if inside else f"{path} holds no state dict",
        expected=f"tensors by name, bare or under one of {', '.join(_NESTED)}",
        found=keys[:200] or "an empty dict",
    )


def _is_state_dict(value: Any) -> bool:
    """Tell whether a value is names with tensors, as `state_dict()` returns it."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        return False
    values = list(value.values())
    return any(isinstance(item, Tensor) for item in values) and not any(
        isinstance(item, Mapping | list) for item in values
    )


def _without_prefix(state: State, module: nn.Module) -> tuple[State, str]:
    """Return the weights without what a wrapper such as `DataParallel` put before every name."""
    expected, prefix = module.state_dict().keys(), ""
    while True:
        heads = {key.partition(".")[0] + "." for key in state}
        head = next(iter(heads))
        if len(heads) > 1 or any(key.startswith(head) for key in expected) or head[:-1] in state:
            return state, prefix
        state = {key.removeprefix(head): value for key, value in state.items()}
        prefix += head


def _misfit(module: nn.Module, state: State, path: Path, error: Exception) -> ModelError:
    """Return the message that names what is missing, unexpected and of another shape."""
    own = module.state_dict()
    # PyTorch does without the batch counters, which its first versions didn't have.
    missing = [key for key in own if key not in state and not key.endswith(".num_batches_tracked")]
    unexpected = [key for key in state if key not in own]
    shapes = [
        f"{key}: file {list(state[key].shape)}, network {list(value.shape)}"
        for key, value in own.items()
        if isinstance(value, Tensor) and not is_lazy(value) and isinstance(state.get(key), Tensor)
        if state[key].shape != value.shape
    ]
    kinds = (("missing", missing), ("unexpected", unexpected), ("another shape", shapes))
    rows = [_row(kind, names) for kind, names in kinds if names]
    said = str(error).splitlines()[-1].strip() if str(error) else type(error).__name__
    return ModelError(
        f"{path} does not fit the network",
        expected=f"{len(own):,} tensors with the names and shapes of the network's",
        found=("\n" + " " * 12).join(rows) or said,
        hint="are these the weights of this network, with the same arguments?",
    )


def _row(kind: str, names: Sequence[str]) -> str:
    """Return `3 missing: a, b, c`, the first few named."""
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{len(names):,} {kind}: {', '.join(names[:_SHOWN])}{more}"
