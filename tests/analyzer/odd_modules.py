"""Modules that other tools trip over, and how to count what they multiply."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.utils.flop_counter import FlopCounterMode

SHAPE = (3, 16, 16)
"""Of the images that all of them take."""


class Three(nn.Module):
    """A 3x3, a 3x3 and a 1x1 convolution; the cases override `forward`."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 4, 1)


def small(*more: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), *more)


def counted(module: nn.Module, *args: Tensor, **kwargs: Tensor) -> int:
    """Count multiply-accumulates by running a copy of the module for real under torch's counter."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            module.eval()(*args, **kwargs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return int(counter.get_total_flops()) // 2


CASES: dict[str, tuple[Callable[[], nn.Module], str]] = {}


def case(rung: str = "meta") -> Callable[[Callable[[], nn.Module]], Callable[[], nn.Module]]:
    def add(build: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
        CASES[build.__name__] = (build, rung)
        return build

    return add


def forward(rung: str = "meta") -> Callable[[Callable[[Any, Tensor], Any]], None]:
    """Add a network with three convolutions and the decorated function as its forward."""

    def add(function: Callable[[Any, Tensor], Any]) -> None:
        CASES[function.__name__] = (type(function.__name__, (Three,), {"forward": function}), rung)

    return add


@case()
def weight_norm() -> nn.Module:
    return nn.Sequential(parametrizations.weight_norm(nn.Conv2d(3, 8, 3)), nn.ReLU())


@case()
def spectral_norm() -> nn.Module:
    return nn.Sequential(parametrizations.spectral_norm(nn.Conv2d(3, 8, 3)), nn.ReLU())


@case()
def spectral_norm_by_hook() -> nn.Module:
    return nn.Sequential(nn.utils.spectral_norm(nn.Conv2d(3, 8, 3)), nn.ReLU())


@case()
def pruned() -> nn.Module:
    conv = nn.Conv2d(3, 8, 3)
    prune.l1_unstructured(conv, "weight", 0.5)
    return nn.Sequential(conv)


@case()
def frozen() -> nn.Module:
    module = small(nn.Conv2d(8, 4, 1))
    module[0].requires_grad_(False)
    return module


@case()
def bfloat16() -> nn.Module:
    return small().bfloat16()


@case()
def half() -> nn.Module:
    return small().half()


@case()
def double() -> nn.Module:
    return small().double()


@case()
def channels_last() -> nn.Module:
    return small().to(memory_format=torch.channels_last)


@case()
def data_parallel() -> nn.Module:
    return nn.DataParallel(small())


@case()
def tied() -> nn.Module:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 3, 3), nn.Conv2d(3, 3, 3)
            self.b.weight = self.a.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.b(self.a(x))

    return Tied()


@case()
def reused() -> nn.Module:
    conv = nn.Conv2d(3, 3, 3)
    return nn.Sequential(conv, nn.ReLU(), conv, conv)


@case()
def statistics_of_the_batch() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, track_running_stats=False))


@case()
def multihead_attention() -> nn.Module:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(16, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(1, 2)
            return self.attention(x, x, x)[0]

    return Attends()


@case()
def encoder_on_the_fast_path() -> nn.Module:
    class Encodes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
            self.encoder = nn.TransformerEncoder(layer, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.encoder(x.flatten(1, 2))

    return Encodes()


@case()
def recurrent_cell() -> nn.Module:
    class Recurs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.LSTMCell(16, 8)

        def forward(self, x: Tensor) -> Tensor:
            state = None
            for row in x.flatten(1, 2).unbind(1):
                state = self.cell(row, state)
            return state[0]

    return Recurs()


@case()
def gated_recurrent_unit() -> nn.Module:
    class Recurs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.unit = nn.GRU(16, 8, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.unit(x.flatten(1, 2))[0]

    return Recurs()


@case()
def raw_parameters() -> nn.Module:
    class Raw(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.ParameterList([torch.rand(8, 3, 3, 3), torch.rand(4, 8, 1, 1)])
            self.scales = nn.ParameterDict({"out": torch.rand(4)})

        def forward(self, x: Tensor) -> Tensor:
            for weight in self.weights:
                x = F.conv2d(x, weight)
            return x * self.scales["out"].view(1, -1, 1, 1)

    return Raw()


@case()
def plain_tensors() -> nn.Module:
    class Plain(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean, self.weights = torch.rand(1, 3, 1, 1), [torch.rand(8, 3, 3, 3)]

        def forward(self, x: Tensor) -> Tensor:
            return F.conv2d(x - self.mean, self.weights[0])

    return Plain()


@case()
def hooks_of_its_own() -> nn.Module:
    module = small()
    module[0].register_forward_hook(lambda _, args, out: out * 2)
    module.register_forward_pre_hook(lambda _, args: (F.avg_pool2d(args[0], 2),))
    module.register_forward_hook(lambda _, args, out: F.conv2d(out, torch.ones(2, 8, 1, 1)))
    return module


@case()
def scripted() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.script(small())


@case()
def jit_traced() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return torch.jit.trace(small().eval(), torch.rand(1, *SHAPE))


@case()
def scripted_inside() -> nn.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        inner = torch.jit.script(nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8)))
    return small(inner, nn.Conv2d(8, 2, 1))
