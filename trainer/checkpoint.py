"""What a run keeps of each epoch.

`state.pt` holds all that resuming needs and is replaced in one step, so the epoch is either done
or not. The other files are made from it; resuming writes them again. No random state is kept: each
epoch's randomness is drawn from the seed and the epoch's number.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.trainer.atomic import write_bytes, write_text
from cifar_report.trainer.extras import load_extra
from cifar_report.trainer.listen import epoch_line
from cifar_report.trainer.records import Epoch, RunConfig

STATE_FILE = "state.pt"
WEIGHTS_FILE = "checkpoint.safetensors"


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A run after `len(history)` epochs."""

    module: Mapping[str, Any]
    """`state_dict()` of the network."""
    optimizer: Mapping[str, Any]
    history: tuple[Epoch, ...]


def save(folder: Path, state: State, config: RunConfig) -> None:
    """Write state, weights, history and log, each in one step, the state first."""
    buffer = io.BytesIO()
    history = [asdict(epoch) for epoch in state.history]
    torch.save({"module": dict(state.module), "optimizer": dict(state.optimizer), "history": history}, buffer)
    write_bytes(folder / STATE_FILE, buffer.getvalue())
    save_derived(folder, state, config)


def save_derived(folder: Path, state: State, config: RunConfig) -> None:
    """Write the files that only repeat what the state says."""
    write_bytes(folder / WEIGHTS_FILE, weights_bytes(state.module))
    lines = [json.dumps(asdict(epoch), allow_nan=False) + "\n" for epoch in state.history]
    write_text(folder / "history.jsonl", "".join(lines))
    write_text(folder / "log.txt", log_text(state.history, config))


def weights_bytes(module: Mapping[str, Any]) -> bytes:
    """Return weights and buffers in the safetensors format."""
    # Tied tensors are stored once for each name, contiguous: the format knows neither sharing nor strides.
    tensors = {
        name: value.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, value in module.items()
        if isinstance(value, torch.Tensor)
    }
    content: bytes = load_extra("safetensors.torch", "train").save(tensors)
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
        return State(content["module"], content["optimizer"], history)
    # A damaged archive fails in whatever way its first wrong byte leads to.
    except Exception as error:
        raise UsageError(f"{path} can't be read", found=str(error).splitlines()[0]) from error


def restore(state: State, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Put a state into the network and the optimizer it was taken from.

    Raises:
        ModelError: the network has other parameters than the run's.
    """
    try:
        module.load_state_dict(state.module)
        optimizer.load_state_dict(dict(state.optimizer))
    except (RuntimeError, ValueError, KeyError) as error:
        raise ModelError(
            "the network is not the one that this run began with",
            expected="the same layers with the same shapes",
            found=str(error).splitlines()[-1].strip(),
        ) from error


def log_text(history: tuple[Epoch, ...], config: RunConfig) -> str:
    """Return `log.txt`: what the run is, and a line per epoch."""
    data = config.data
    head = [
        f"model {config.model}, data {data.name}: "
        f"{data.train_count:,} training and {data.test_count:,} test images",
        f"{config.epochs} epochs, batches of {config.batch_size}, one-cycle to {config.schedule['peak']:g}, "
        f"seed {config.seed}, {config.precision} on {config.device}",
    ]
    return "\n".join(head + [epoch_line(epoch, config.epochs) for epoch in history]) + "\n"
