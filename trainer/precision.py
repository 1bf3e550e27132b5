"""How a network computes while it trains: the precision and memory format that are fastest here.

Measured for a second on the network itself. But a CPU may announce bfloat16 instructions that it then
can't run (virtual machines that hide AMX do, and the process is stopped by SIGILL), so a child process
tries these first, on a network of its own.
"""

from __future__ import annotations

import itertools
import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from cifar_report.analyzer.errors import UsageError

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
MEMORY_FORMATS = ("auto", "channels_last", "contiguous")

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}

WORTH_IT = {"bfloat16": 1.2, "float16": 1.2, "contiguous": 1.3}
"""Factors by which these must be faster, and in nearly every round: another choice gives other bits, and a
close call, or another program that runs beside this one, would make two runs differ."""

SURE = 0.9
"""Share of the rounds."""
ROUNDS = 5
BUDGET = 1.0
"""How long to measure [s], at least."""

_TIMEOUT = 60


@dataclass(frozen=True, slots=True)
class Speed:
    """One way to compute."""

    precision: str
    memory_format: str


PLAIN = Speed("float32", "channels_last")
Way = TypeVar("Way")


def candidates(precision: str, memory_format: str, device: str) -> list[Speed]:
    """Return the ways to compute that are left by what was asked for, one of each for `auto`.

    Raises:
        UsageError: the precision that is asked for can't be used on this device.
    """
    if precision == "auto":
        precisions = ["float32", *_half_precisions(device)]
    else:
        if precision != "float32" and device == "cpu":
            _refuse_unusable(precision)
        precisions = [precision]
    formats = list(FORMATS) if memory_format == "auto" else [memory_format]
    return [Speed(*pair) for pair in itertools.product(precisions, formats)]


def fastest(seconds: Mapping[Speed, Sequence[float]]) -> Speed:
    """Return the way that is clearly the fastest; the first one, unless another one wins again and again.

    Args:
        seconds: of each way, its steps of the same rounds.
    """
    usual = next(iter(seconds))
    ways = [usual, *(way for way in seconds if _wins(seconds[usual], seconds[way], _worth(usual, way)))]
    return min(ways, key=lambda way: sorted(seconds[way])[len(seconds[way]) // 2])


def _wins(usual: Sequence[float], other: Sequence[float], factor: float) -> bool:
    won = sum(mine >= factor * theirs for mine, theirs in zip(usual, other, strict=True))
    return won >= SURE * len(usual)


def _worth(usual: Speed, other: Speed) -> float:
    pairs = ((usual.precision, other.precision), (usual.memory_format, other.memory_format))
    return math.prod(WORTH_IT.get(theirs, 1.0) for mine, theirs in pairs if mine != theirs)


def measure(ways: list[Way], step: Callable[[Way], None], rounds: int = ROUNDS) -> dict[Way, list[float]]:
    """Return the seconds of each way's steps, round by round, after one that isn't counted.

    Args:
        ways: what to choose from.
        step: takes one in a way.
        rounds: so many at least, and for `BUDGET` seconds.
    """
    for way in ways:
        step(way)
    seconds: dict[Way, list[float]] = {way: [] for way in ways}
    begin, done = time.perf_counter(), 0
    while done < rounds or time.perf_counter() - begin < BUDGET:
        for way in ways:
            start = time.perf_counter()
            step(way)
            seconds[way].append(time.perf_counter() - start)
        done += 1
    return seconds


def _half_precisions(device: str) -> list[str]:
    """Return those with which a network trains faster in all likelihood."""
    if device == "cuda":
        return ["bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"]
    return ["bfloat16"] if _announced() and not _problem() else []


def _announced() -> bool:
    """Return whether the CPU says that it multiplies bfloat16 natively; emulated, it is slower."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def _refuse_unusable(precision: str) -> None:
    # CPUs emulate float16, hundreds of times slower than float32.
    if problem := "CPUs don't compute in float16" if precision == "float16" else _problem():
        raise UsageError(
            f"--precision {precision} can't be used on this CPU",
            found=problem,
            hint="--precision float32, or --precision auto, which finds out",
        )


def _problem() -> str:
    """Return what happened to a child process that trained in bfloat16; empty if nothing did."""
    command = [sys.executable, "-m", "cifar_report.trainer.precision"]
    try:
        child = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if child.returncode < 0:
        return f"a trial was stopped by signal {-child.returncode}"
    return child.stderr.strip().splitlines()[-1] if child.returncode else ""


def try_step() -> None:
    """Train a small network of the usual layers for a step in bfloat16."""
    module = nn.Sequential(
        *[_block(3, 32), _block(32, 64), nn.Conv2d(64, 64, 3, groups=64), nn.Conv2d(64, 32, 1)],
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 10),
    ).to(memory_format=torch.channels_last)
    images = torch.rand(64, 3, 32, 32).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        scores = module(images)
    torch.autograd.backward(scores.float().square().mean())


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1), nn.BatchNorm2d(outputs), nn.ReLU())


if __name__ == "__main__":
    try_step()
