"""What a run is asked to do, and the recipe that this becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.precision import choose_precision
from cifar_report.trainer.records import DataFacts, RunConfig

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Options:
    """What to train with. Everything but `epochs` has a default that suits small networks."""

    epochs: int
    batch_size: int = 128
    learning_rate: float = 0.2
    """Peak of the one-cycle schedule."""
    momentum: float = 0.9
    weight_decay: float = 3e-4
    label_smoothing: float = 0.05
    seed: int = 0
    device: str = "auto"
    """One of `DEVICES`."""
    precision: str = "auto"
    """One of `precision.PRECISIONS`."""
    workers: int | None = None
    """Processes that augment images; None chooses."""
    overwrite: bool = False
    """Replace a run that lies in the folder already."""
    model: str = ""
    data_source: str = ""
    assignment: dict[str, Any] | None = None
    constraints: tuple[str, ...] = ()
    command: str = ""


def make_config(options: Options, data: DataFacts) -> RunConfig:
    """Return the recipe of a run: nothing in it is left to choose.

    Raises:
        UsageError: the device is not there, or can't run the precision asked for.
    """
    device = choose_device(options.device)
    return RunConfig(
        model=options.model,
        data=data,
        data_source=options.data_source,
        epochs=options.epochs,
        batch_size=options.batch_size,
        seed=options.seed,
        device=device,
        optimizer={
            "name": "SGD",
            "momentum": options.momentum,
            "nesterov": True,
            "weight_decay": options.weight_decay,
            "weight_decay_on": "weights, without those of normalisation layers, and no biases",
        },
        schedule={"name": "one-cycle", "peak": options.learning_rate},
        label_smoothing=options.label_smoothing,
        precision=choose_precision(options.precision, device),
        assignment=options.assignment,
        constraints=options.constraints,
        command=options.command,
        extra={"memory_format": "channels_last"},
    )


def choose_device(asked: str) -> str:
    """Return `cpu` or `cuda`.

    Raises:
        UsageError: CUDA is asked for and there is none.
    """
    available = torch.cuda.is_available()
    if asked == "auto":
        return "cuda" if available else "cpu"
    if asked == "cuda" and not available:
        built = torch.version.cuda
        raise UsageError(
            "--device cuda: no CUDA device can be used",
            expected="an NVIDIA GPU with its driver, and a PyTorch built for CUDA",
            found=f"PyTorch {torch.__version__}, "
            + (f"CUDA {built}, no GPU" if built else "built without CUDA"),
            hint="--device auto takes the CPU",
        )
    return asked
