"""Fingerprints of module and process before and after an analysis: nothing may have changed."""

from __future__ import annotations

import copy
import gc
import os
import random
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules import module as nn_module
from torch.nn.utils import parametrizations, weight_norm
from torch.overrides import _get_current_function_mode_stack
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from cifar_report.analyzer import analyze
from cifar_report.analyzer.errors import ModelError

GLOBAL_HOOKS = [name for name in vars(nn_module) if name.startswith("_global_")]


def contents(value: Any) -> Any:
    """Describe a value by what it is, and tensors by which they are."""
    if isinstance(value, dict):
        return {key: contents(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [type(value).__name__, *map(contents, value)]
    if isinstance(value, int | float | str | type(None)):
        return value
    return type(value).__name__, id(value)


def tensor_print(tensor: Tensor) -> tuple[Any, ...]:
    values = None if tensor.is_meta else copy.deepcopy(tensor.detach()).tolist()
    return (id(tensor), tensor.data_ptr(), tensor._version, tensor.dtype, tensor.device, tensor.shape,
            tensor.requires_grad, id(tensor.grad), tensor.is_inference(), tensor.stride(), values,
            contents(tensor.__dict__))  # fmt: skip


def module_print(module: nn.Module) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, child in module.named_modules():
        found[f"{path}: attributes"] = contents(child.__dict__)
        found[f"{path}: order"] = list(child.__dict__)
        found[f"{path}: class"] = type(child)
    for path, tensor in [*module.named_parameters(), *module.named_buffers()]:
        found[f"{path}: tensor"] = tensor_print(tensor)
    found["state dict"] = list(module.state_dict())
    return found


def process_print() -> dict[str, Any]:
    return {
        "torch random": torch.get_rng_state().tolist(),
        "seed": torch.initial_seed(),
        "numpy random": repr(np.random.get_state()),
        "python random": random.getstate(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "filters": list(warnings.filters),
        "path": list(sys.path),
        "folder": os.getcwd(),  # noqa: PTH109 - as the product reads it
        "threads": [thread.name for thread in threading.enumerate()],
        "torch threads": torch.get_num_threads(),
        "collection": gc.isenabled(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "anomaly": torch.is_anomaly_enabled(),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.get_autocast_dtype("cpu")),
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "deterministic": (
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            torch.backends.cudnn.deterministic,
            torch.backends.cudnn.benchmark,
        ),
        "precision": torch.get_float32_matmul_precision(),
        "streams": (id(sys.stdout), id(sys.stderr)),
        "recursion": sys.getrecursionlimit(),
        "global hooks": {name: contents(getattr(nn_module, name)) for name in GLOBAL_HOOKS},
        "modes": (len(_get_current_dispatch_mode_stack()), len(_get_current_function_mode_stack())),
    }


class Nasty(nn.Module):
    """Changes what it can reach, in each of the ways below."""

    def __init__(self, needs_values: bool = False, needs_device: bool = False) -> None:
        super().__init__()
        self.needs_device = needs_device
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("seen", torch.zeros(4))
        self.register_buffer("average", torch.ones(4))
        self.table = torch.arange(4.0)
        self.calls = 0
        self.cache: Tensor | None = None
        self.history: list[Any] = [1]
        self.store: dict[str, Any] = {"nested": {"deep": []}}
        self.needs_values = needs_values

    def forward(self, x: Tensor) -> Tensor:
        assert x.device.type == "cpu" or not self.needs_device
        x = self.norm(self.conv(x))
        self.misbehave(x)
        if self.needs_values:
            x = x * x.mean().item()
        return x

    def misbehave(self, x: Tensor) -> None:
        raise NotImplementedError


class Buffers(Nasty):
    def misbehave(self, x: Tensor) -> None:
        self.seen += 1
        self.average = 0.9 * self.average + 0.1 * x.mean((0, 2, 3))
        self.table.mul_(2)
        self.table[0] = 7
        self.norm.running_mean.fill_(3)
        self.norm.num_batches_tracked += 1


class Attributes(Nasty):
    def misbehave(self, x: Tensor) -> None:
        self.calls += 1
        self.cache = x
        self.extra = nn.ReLU()
        self.conv.note = "hello"
        self.history.append(x)
        self.store["nested"]["deep"].append(x)
        self.store["x"] = x
        del self.norm.momentum


class Parameters(Nasty):
    def misbehave(self, x: Tensor) -> None:
        with torch.no_grad():
            self.conv.weight.mul_(0.5)
            self.conv.weight.data = self.conv.weight.data * torch.ones(3)
            self.conv.weight.data *= 3
            self.norm.weight.copy_(torch.zeros(4))
        self.norm.bias = nn.Parameter(torch.ones(4))
        self.conv.bias.requires_grad_(False)
        for parameter in self.parameters():
            parameter.add_(1)


class Modes(Nasty):
    def misbehave(self, x: Tensor) -> None:
        self.train()
        self.norm.eval()
        self.norm(x)
        self.train()
        self.norm(x)


class Hooks(Nasty):
    def misbehave(self, x: Tensor) -> None:
        self.norm.register_forward_hook(lambda *_: None)
        self.conv.register_forward_pre_hook(lambda *_: None)
        self.register_load_state_dict_post_hook(lambda *_: None)
        nn_module.register_module_forward_hook(lambda *_: None)
        nn_module.register_module_forward_pre_hook(lambda *_: None)


class Random(Nasty):
    def misbehave(self, x: Tensor) -> None:
        torch.rand(3)
        random.random()
        np.random.rand()
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)
        F.dropout(x, training=True)
        torch.randn_like(x)


class Settings(Nasty):
    def misbehave(self, x: Tensor) -> None:
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "something")
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(True)
        torch.set_anomaly_enabled(True, False)
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.deterministic = True
        torch.backends.mha.set_fastpath_enabled(True)
        torch.set_float32_matmul_precision("medium")
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_autocast_enabled("cpu", True)
        torch.set_autocast_dtype("cpu", torch.float16)
        torch.set_default_device("meta")
        sys.path.insert(0, "/nowhere")
        sys.setrecursionlimit(sys.getrecursionlimit() + 50)
        os.chdir("/")
        sys.stdout = sys.stderr


KINDS = (Buffers, Attributes, Parameters, Modes, Hooks, Random, Settings)


def check(module: nn.Module, run: Callable[[], object]) -> None:
    for index, parameter in enumerate(module.parameters()):
        if index % 2 and parameter.requires_grad and parameter.is_floating_point():
            parameter.grad = torch.ones_like(parameter)
    before = module_print(module), process_print()
    try:
        run()
    finally:
        after = module_print(module), process_print()
        for old, new in zip(before, after, strict=True):
            assert {key for key in old if old[key] != new.get(key)} == set()
            assert list(old) == list(new)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rung", ["meta", "real"])
@pytest.mark.parametrize("training", [True, False])
def test_an_analysis_changes_neither_module_nor_process(kind: type[Nasty], rung: str, training: bool) -> None:
    module = kind(needs_values=rung == "real").train(training)
    check(module, lambda: (analyze(module).rung == rung) or pytest.fail("wrong rung"))


@pytest.mark.parametrize("kind", KINDS)
def test_an_analysis_on_fake_tensors_changes_nothing_either(kind: type[Nasty]) -> None:
    with torch.device("meta"):
        module = kind(needs_device=True)
    check(module, lambda: (analyze(module).rung == "fake") or pytest.fail("wrong rung"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_forward_that_raises_changes_nothing_either(kind: type[Nasty]) -> None:
    module = kind()

    def broken(x: Tensor) -> None:
        kind.misbehave(module, x)
        raise ValueError("after all that")

    module.misbehave = broken

    def run() -> None:
        with pytest.raises(ModelError, match="after all that"):
            analyze(module)

    check(module, run)


def test_an_interrupt_changes_nothing_either() -> None:
    module = Attributes()

    def interrupt(x: Tensor) -> None:
        Settings.misbehave(module, x)
        raise KeyboardInterrupt

    module.misbehave = interrupt

    def run() -> None:
        with pytest.raises(KeyboardInterrupt):
            analyze(module)

    check(module, run)


@pytest.mark.parametrize(
    "wrap",
    [
        parametrizations.weight_norm,
        parametrizations.spectral_norm,
        nn.utils.spectral_norm,
        pytest.param(weight_norm, marks=pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")),
    ],
)
@pytest.mark.parametrize("training", [True, False])
def test_reparametrized_layers_stay_as_they_are(wrap: Any, training: bool) -> None:
    module = nn.Sequential(wrap(nn.Conv2d(3, 4, 3)), nn.ReLU()).train(training)
    check(module, lambda: analyze(module))


def test_an_override_of_train_is_not_called() -> None:
    class Frozen(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm2d(3)

        def train(self, mode: bool = True) -> nn.Module:
            raise AssertionError

        def forward(self, x: Tensor) -> Tensor:
            return self.norm(x)

    module = Frozen()
    check(module, lambda: analyze(module))


@pytest.mark.parametrize(
    "mode", [torch.no_grad(), torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16)]
)
def test_modes_that_the_caller_has_on_stay_on(mode: Any) -> None:
    module = Buffers()
    with mode:
        check(module, lambda: analyze(module))


def test_a_backward_through_an_earlier_use_of_a_buffer_still_runs() -> None:
    module = Buffers().eval()
    weight = torch.ones(4, requires_grad=True)
    earlier = (weight * module.seen).sum()
    analyze(module)
    earlier.backward()
    assert weight.grad is not None


def test_the_network_sees_what_it_wrote_itself() -> None:
    class Remembers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("flags", torch.zeros(3))
            self.conv, self.pool = nn.Conv2d(3, 3, 3), nn.MaxPool2d(2)

        def forward(self, x: Tensor) -> Tensor:
            self.flags[1] = 1.0
            self.flags.data += 1
            return self.conv(x) if self.flags.tolist() == [1, 2, 1] else self.pool(x)

    module = Remembers()
    assert [row.name for row in analyze(module).layers] == ["conv", ""]
    assert module.flags.tolist() == [0, 0, 0]


def test_tensors_handed_out_by_the_caller_are_not_written_to() -> None:
    shared = torch.ones(3, 32, 32)

    class Writes(nn.Module):
        def forward(self, x: Tensor, other: Tensor) -> Tensor:
            other += x[0]
            return other

    before = tensor_print(shared)
    analyze(Writes(), inputs=[(3, 32, 32), shared])
    assert tensor_print(shared) == before


@pytest.mark.filterwarnings("ignore::FutureWarning")  # of what lies around in memory
@pytest.mark.parametrize("needs_values", [False, True])
def test_nothing_of_a_trace_is_left_in_memory(needs_values: bool) -> None:
    module = Attributes(needs_values)
    analyze(module)
    gc.collect()
    analyze(module)
    assert not any(type(thing).__module__ == "cifar_report.analyzer.graph" for thing in gc.get_objects())


IMPORTS_THE_COMPILER = """
from torch import nn
from cifar_report.analyzer.assemble import analyze

class Imports(nn.Module):
    def forward(self, x):
        import torch._dynamo
        return x + 1

analyze(Imports())
import torch._dynamo.utils
assert torch._dynamo.utils.unpatched_nn_module_call_impl is nn.Module._call_impl
"""


def test_a_compiler_that_is_imported_by_the_forward_gets_torchs_own_functions() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS_THE_COMPILER], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
