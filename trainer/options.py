"""What a run is asked to do, and the recipe that this becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.precision import PLAIN, Speed
from cifar_report.trainer.records import DataFacts, RunConfig
from cifar_report.trainer.schedule import WARM_UP

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True, slots=True)
class Options:
    """What to train with. Everything but `epochs` has a default that suits small networks."""

    epochs: int
    batch_size: int = 128
    """Of all processes together."""
    optimizer: str = "sgd"
    """One of `optimize.OPTIMIZERS`."""
    learning_rate: float = 0.2
    """Peak of the schedule."""
    momentum: float = 0.9
    weight_decay: float = 3e-4
    schedule: str = "one-cycle"
    """One of `schedule.SCHEDULES`."""
    warm_up: float | None = None
    """Share of the steps in which the learning rate rises; None for the schedule's own."""
    step_factor: float = 0.1
    """What the learning rate falls by with `step`."""
    step_times: int = 2
    """How often it falls."""
    label_smoothing: float = 0.05
    augment: str = ""
    """A source of `augment_source.load_pipeline`."""
    augment_with: str = "auto"
    """One of `feed.BACK_ENDS`."""
    mixup: float = 0.0
    cutmix: float = 0.0
    average: float = 0.0
    """Decay per step of the averaged weights, such as 0.999; 0 for none."""
    clip: float = 0.0
    """Largest norm of the gradients; 0 for any."""
    flip_test: bool = False
    start: dict[str, Any] | None = None
    """What `learnt.begin_with` returned, where the module's weights are a finished run's."""
    validation: int = 0
    """Training images to hold out and judge the epochs on, instead of the test images."""
    seed: int = 0
    device: str = "auto"
    """One of `DEVICES`."""
    precision: str = "auto"
    """One of `precision.PRECISIONS`."""
    memory_format: str = "auto"
    """One of `precision.MEMORY_FORMATS`."""
    compile: str = "auto"
    """One of `compiling.COMPILE`."""
    workers: int | None = None
    """Processes that augment images; None chooses."""
    tensorboard: bool = False
    """Also write the history for TensorBoard."""
    overwrite: bool = False
    """Replace a run that lies in the folder already."""
    model: str = ""
    data_source: str = ""
    assignment: dict[str, Any] | None = None
    constraints: tuple[str, ...] = ()
    command: str = ""


def make_config(
    options: Options,
    data: DataFacts,
    *,
    speed: Speed = PLAIN,
    teacher: dict[str, Any] | None = None,
    processes: int = 1,
    normalize: dict[str, list[float]] | None = None,
) -> RunConfig:
    """Return the recipe of a run: nothing in it is left to choose.

    What isn't among the options is as in the recipe.

    Raises:
        UsageError: the device is not there.
    """
    return RunConfig(
        model=options.model,
        data=data,
        data_source=options.data_source,
        epochs=options.epochs,
        batch_size=options.batch_size,
        seed=options.seed,
        device=choose_device(options.device),
        optimizer=_optimizer(options),
        schedule=_schedule(options),
        label_smoothing=options.label_smoothing,
        augment=options.augment,
        normalize=normalize,
        augment_with=options.augment_with,
        precision=speed.precision,
        mixup=options.mixup,
        cutmix=options.cutmix,
        average=options.average,
        clip=options.clip,
        flip_test=options.flip_test,
        start=options.start,
        teacher=teacher,
        processes=processes,
        assignment=options.assignment,
        constraints=options.constraints,
        command=options.command,
        extra={
            "memory_format": speed.memory_format,
            **({"tensorboard": True} if options.tensorboard else {}),
        },
    )


def _optimizer(options: Options) -> dict[str, Any]:
    decay = {
        "weight_decay": options.weight_decay,
        "weight_decay_on": "weights, without those of normalisation layers, and no biases",
    }
    if options.optimizer == "adamw":
        return {"name": "AdamW", "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, **decay}
    return {"name": "SGD", "momentum": options.momentum, "nesterov": options.momentum > 0, **decay}


def _schedule(options: Options) -> dict[str, Any]:
    warm_up = WARM_UP[options.schedule] if options.warm_up is None else options.warm_up
    chosen = {"name": options.schedule, "peak": options.learning_rate, "warm_up": warm_up}
    if options.schedule == "step":
        chosen |= {"factor": options.step_factor, "times": options.step_times}
    return chosen


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
