"""What a run keeps of each epoch.

`state.pt` holds all that resuming needs and is replaced in one step, so the epoch is either done
or not. The other files are made from it; resuming writes them again. No random state is kept: each
epoch's randomness is drawn from the seed and the epoch's number.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.trainer.atomic import write_bytes
from cifar_report.trainer.epoch import Trainee
from cifar_report.trainer.extras import load_extra
from cifar_report.trainer.logs import write_logs
from cifar_report.trainer.passport import Passport
from cifar_report.trainer.records import RunConfig
from cifar_report.trainer.results import Epoch

STATE_FILE = "state.pt"
WEIGHTS_FILE = "checkpoint.safetensors"

_STATES = ("module", "optimizer", "average", "scaler")


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A run after `len(history)` epochs."""

    module: Mapping[str, Any]
    """`state_dict()` of the network."""
    optimizer: Mapping[str, Any]
    history: tuple[Epoch, ...]
    average: Mapping[str, Any] | None = None
    """`state_dict()` of the averaged weights, where the run has them."""
    scaler: Mapping[str, Any] = field(default_factory=dict)
    """Of the gradient scaler; empty but in float16."""


def take(trainee: Trainee, history: tuple[Epoch, ...]) -> State:
    """Return the state that a trainee is in."""
    return State(
        module=trainee.network.module.state_dict(),
        optimizer=trainee.optimizer.state_dict(),
        history=history,
        average=trainee.average.state_dict() if trainee.average else None,
        scaler=trainee.scaler.state_dict(),
    )


def save(folder: Path, state: State, config: RunConfig) -> None:
    """Write state, weights, history and log, each in one step, the state first."""
    buffer = io.BytesIO()
    content = {name: getattr(state, name) for name in _STATES}
    torch.save({**content, "history": [asdict(epoch) for epoch in state.history]}, buffer)
    write_bytes(folder / STATE_FILE, buffer.getvalue())
    save_derived(folder, state, config)


def save_derived(folder: Path, state: State, config: RunConfig) -> None:
    """Write the files that only repeat what the state says."""
    write_bytes(folder / WEIGHTS_FILE, weights_bytes(_judged(state), Passport.of(config)))
    write_logs(folder, state.history, config)


def _judged(state: State) -> Mapping[str, Any]:
    """Return the weights that the figures are of."""
    if state.average is None:
        return state.module
    inside = "module."
    return {name[len(inside) :]: value for name, value in state.average.items() if name.startswith(inside)}


def weights_bytes(module: Mapping[str, Any], passport: Passport) -> bytes:
    """Return weights and buffers in the safetensors format, with what they are of."""
    # Tied tensors are stored once for each name, contiguous: the format knows neither sharing nor strides.
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in module.items()
        if isinstance(value, torch.Tensor)
    }
    content: bytes = load_extra("safetensors.torch", "train").save(tensors, metadata=passport.header())
    return content


def load(folder: Path) -> State:
    """Read the state; nothing in it can run code.

    Raises:
        UsageError: there is none, or it is damaged.
    """
    path = folder / STATE_FILE
    if not path.is_file():
        raise UsageError(
            f"{folder} can't be resumed", expected=f"{STATE_FILE} in it", found=f"no {STATE_FILE}"
        )
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        history = tuple(Epoch(**row) for row in content["history"])
        return State(**{name: content[name] for name in _STATES}, history=history)
    # A damaged archive fails in whatever way its first wrong byte leads to.
    except Exception as error:
        raise UsageError(f"{path} can't be read", found=str(error).splitlines()[0]) from error


def restore(state: State, trainee: Trainee) -> None:
    """Put a state into the trainee that it was taken from.

    Raises:
        ModelError: the network has other parameters than the run's.
    """
    try:
        trainee.network.module.load_state_dict(state.module)
        trainee.optimizer.load_state_dict(dict(state.optimizer))
        if trainee.average is not None and state.average is not None:
            trainee.average.load_state_dict(state.average)
        trainee.scaler.load_state_dict(dict(state.scaler))
    except (RuntimeError, ValueError, KeyError) as error:
        raise ModelError(
            "the network is not the one that this run began with",
            expected="the same layers with the same shapes",
            found=str(error).splitlines()[-1].strip(),
        ) from error
