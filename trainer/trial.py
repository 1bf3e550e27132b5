"""Steps that a network takes before its training: whether it can be trained, and how fast."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import nn
from torch.nn import functional

from cifar_report.analyzer.errors import ModelError, Problem, UsageError
from cifar_report.trainer.compiling import LONG, MANY, ROUNDS, WORTH_IT
from cifar_report.trainer.listen import Listener
from cifar_report.trainer.network import Network
from cifar_report.trainer.precision import Speed, fastest, measure
from cifar_report.trainer.records import RunConfig

Images = tuple[torch.Tensor, torch.Tensor]
"""Images (N, H, W, C) uint8 and labels (N,)."""


def try_out(network: Network, images: torch.Tensor, labels: torch.Tensor) -> None:
    """Run one evaluation and one training step on a few images, and undo what they change.

    Raises:
        ModelError: the network's output doesn't fit, or it fails forwards or backwards.
    """
    with _restored(network.module), _as_model_errors():
        network.module.eval()
        with torch.no_grad():
            network.scores(images)
        network.module.train()
        _step(network, (images, labels))


def choose_speed(module: nn.Module, config: RunConfig, ways: list[Speed], some: Images) -> Speed:
    """Return the fastest way to train a network, measured where there is a choice; changes no weight.

    Args:
        module: the network.
        config: a recipe, of which precision and memory format are left open.
        ways: of `precision.candidates`.
        some: images to measure with.

    Raises:
        ModelError: the network fails.
    """
    if len(ways) == 1:
        return ways[0]

    def step(way: Speed) -> None:
        extra = {**config.extra, "memory_format": way.memory_format}
        _step(Network(module, replace(config, precision=way.precision, extra=extra)), some)

    with _restored(module), _as_model_errors():
        module.train()
        return fastest(measure(ways, step))


def choose_compiled(
    module: nn.Module, config: RunConfig, asked: str, steps: int, batch: Images, listener: Listener
) -> bool:
    """Return whether to compile a network: if asked for, or clearly faster in a long training.

    Args:
        module: the network; its weights stay as they are.
        config: a recipe, of which only this is left open.
        asked: one of `compiling.COMPILE`.
        steps: of the whole training.
        batch: as many images as a step takes.
        listener: hears what came out.

    Raises:
        UsageError: it is asked for, and the network can't be compiled here.
        ModelError: the network fails.
    """
    if asked == "off" or (asked == "auto" and steps < MANY):
        return False
    plain = Network(module, config)
    compiled = Network(module, replace(config, extra={**config.extra, "compiled": True}))
    networks = {False: plain, True: compiled}
    with _restored(module), _as_model_errors():
        module.train()
        if asked == "auto" and steps * _seconds(plain, batch) < LONG[config.device]:
            return False
        problem = _problem(compiled, batch, listener)
        if problem and asked == "on":
            raise UsageError(
                "--compile on: the network can't be compiled", found=problem, hint="--compile off"
            )
        if problem:
            listener.note(f"the network trains as it is, for it can't be compiled: {problem}")
            return False
        if asked == "on":
            return True
        seconds = measure([False, True], lambda which: _step(networks[which], batch), ROUNDS)
    before, after = (1000 * statistics.median(seconds[which]) for which in (False, True))
    ratios = [usual / fast for usual, fast in zip(seconds[False], seconds[True], strict=True)]
    chosen = statistics.median(ratios) >= WORTH_IT
    what = "the network is compiled" if chosen else "the network trains as it is"
    listener.note(f"{what}: a step takes {before:,.0f} ms, compiled {after:,.0f} ms")
    return chosen


def refuse_uncompilable(network: Network, batch: Images, listener: Listener) -> None:
    """Let a network that a run has begun with compiled be compiled again; changes no weight.

    Raises:
        UsageError: it can't be, here.
    """
    with _restored(network.module):
        network.module.train()
        if problem := _problem(network, batch, listener):
            raise UsageError(
                "the run can't be resumed here: it began with a compiled network",
                expected="a machine that compiles it",
                found=problem,
            )


def _problem(compiled: Network, batch: Images, listener: Listener) -> str:
    """Return why a network can't be compiled, in a line; empty if it can."""
    listener.work("compiling the network", 0, 1)
    try:
        _step(compiled, batch)
    # It trains as it is, so this is the compiler's, which may raise anything.
    except Exception as error:
        return f"{type(error).__name__}: {(str(error).strip() or 'no reason given').splitlines()[0]}"
    finally:
        listener.work("compiling the network", 1, 1)
    return ""


def _seconds(network: Network, batch: Images) -> float:
    """Return how long a step takes after the first one."""
    _step(network, batch)
    begin = time.perf_counter()
    _step(network, batch)
    return time.perf_counter() - begin


def _step(network: Network, batch: Images) -> None:
    images, labels = batch
    scores = network.scores(images, training=True)
    torch.autograd.backward(functional.cross_entropy(scores, labels.to(network.device)))
    if network.device.type == "cuda":
        torch.cuda.synchronize()


@contextlib.contextmanager
def _restored(module: nn.Module) -> Iterator[None]:
    """Put weights, buffers, gradients and random state back."""
    before = {
        name: value.clone() for name, value in module.state_dict().items() if isinstance(value, torch.Tensor)
    }
    with torch.random.fork_rng():
        try:
            yield
        finally:
            module.load_state_dict(before, strict=False)
            module.zero_grad(set_to_none=True)


@contextlib.contextmanager
def _as_model_errors() -> Iterator[None]:
    try:
        yield
    except Problem:
        raise
    # The network is the user's code and may raise anything.
    except Exception as error:
        raise ModelError(
            "the network fails on a batch of training images",
            expected="forward and backward to run on the data's images",
            found=f"{type(error).__name__}: {error}",
        ) from error
