"""bfloat16 or float32: what a device computes natively, and on a CPU what is faster in fact.

A CPU may announce bfloat16 instructions that it then can't run (virtual machines that hide AMX do,
and the process is stopped by SIGILL), or run them no faster. So a child process tries both.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass

import torch
from torch import nn

from cifar_report.analyzer.errors import UsageError

PRECISIONS = ("auto", "float32", "bfloat16")

WORTH_IT = 1.2
"""Factor by which bfloat16 must be faster to be chosen."""

_STEPS = 3
_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Trial:
    """What the child process found out about bfloat16 on this CPU."""

    speed_up: float | None
    """Factor against float32; None where it can't be used."""
    problem: str = ""


def choose_precision(asked: str, device: str) -> str:
    """Return `float32` or `bfloat16`; `auto` becomes the faster one.

    Raises:
        UsageError: bfloat16 is asked for, and the CPU can't run it.
    """
    if asked == "float32":
        return asked
    if device == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return "bfloat16" if native or asked == "bfloat16" else "float32"
    if asked == "auto" and not _announced():
        return "float32"
    trial = _try_in_child()
    if asked == "bfloat16" and trial.speed_up is None:
        raise UsageError(
            "--precision bfloat16 can't be used on this CPU",
            found=trial.problem,
            hint="--precision float32, or --precision auto, which finds out",
        )
    return "bfloat16" if asked == "bfloat16" or (trial.speed_up or 0) >= WORTH_IT else "float32"


def _announced() -> bool:
    """Return whether the CPU says that it multiplies bfloat16 natively; emulated, it is slower."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _try_in_child() -> Trial:
    command = [sys.executable, "-m", "cifar_report.trainer.precision"]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Trial(None, str(error))
    if child.returncode < 0:
        return Trial(None, f"a trial was stopped by signal {-child.returncode}")
    if child.returncode:
        return Trial(None, child.stderr.strip().splitlines()[-1])
    return Trial(float(child.stdout))


def measure_speed_up() -> float:
    """Return the factor by which bfloat16 is faster than float32, training a small network."""
    module = nn.Sequential(
        *[_block(3, 32), _block(32, 64), nn.Conv2d(64, 64, 3, groups=64), nn.Conv2d(64, 32, 1)],
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    ).to(memory_format=torch.channels_last)
    images = torch.rand(64, 3, 32, 32).to(memory_format=torch.channels_last)
    times = {half: min(_step_seconds(module, images, half) for _ in range(_STEPS)) for half in (True, False)}
    return times[False] / times[True]


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())


def _step_seconds(module: nn.Module, images: torch.Tensor, half: bool) -> float:
    begin = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        scores = module(images)
    torch.autograd.backward(scores.float().square().mean())
    return time.perf_counter() - begin


if __name__ == "__main__":
    sys.stdout.write(f"{measure_speed_up()}\n")
