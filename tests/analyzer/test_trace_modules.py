"""Modules that other tools trip over: parameters, products and rung, against torch's own counters."""

from __future__ import annotations

import copy
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from cifar_report.analyzer import Analysis, analyze

SHAPE = (3, 16, 16)


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


@forward()
def reentrant_checkpoint(self: Any, x: Tensor) -> Tensor:
    return self.c(checkpoint(self.b, self.a(x), use_reentrant=True))


@forward()
def plain_checkpoint(self: Any, x: Tensor) -> Tensor:
    return self.c(checkpoint(self.b, self.a(x), use_reentrant=False))


@forward()
def called_through_forward(self: Any, x: Tensor) -> Tensor:
    return self.c.forward(self.b.forward(self.a(x)))


@forward()
def called_functionally(self: Any, x: Tensor) -> Tensor:
    return torch.func.functional_call(self.c, {"weight": self.c.weight * 2}, (self.a(x),))


@forward()
def called_by_keyword(self: Any, x: Tensor) -> Tensor:
    return self.b(input=self.a(input=x))


@forward()
def copied_while_it_runs(self: Any, x: Tensor) -> Tensor:
    return copy.deepcopy(self.a)(x)


@forward()
def gradient_modes(self: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        x = self.a(x)
    with torch.enable_grad():
        x = self.b(x)
    torch.set_grad_enabled(True)
    with torch.set_grad_enabled(self.training):
        return self.c(x)


@forward()
def constants_beside_the_input(self: Any, x: Tensor) -> Tensor:
    rows = torch.arange(x.shape[2], device=x.device)
    grid = torch.stack(torch.meshgrid(rows, rows, indexing="ij")).to(x) / len(rows)
    x = x + grid.sum(0) + torch.zeros(1, 3, 16, 16).to(x) + torch.ones_like(x)
    return self.a(x.to(x.device).cpu())


@forward()
def values_of_constants(self: Any, x: Tensor) -> Tensor:
    sizes = torch.tensor([1, 2]).tolist()
    if torch.linspace(0, 1, 4, device=x.device).sum().item() > sizes[0]:
        x = self.a(x)
    return self.c(x)


@forward()
def slices_written_in_place(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    out = torch.zeros(1, 8, 14, 14)
    out[:, :4] = y[:, :4]
    out[:, 4:] += y[:, 4:]
    out[:, 0].relu_()
    return self.c(out)


@forward()
def a_constant_spread_to_the_shape_of_the_input(self: Any, x: Tensor) -> Tensor:
    y = self.a(x)
    return y + self.b.bias.view(1, -1, 1, 1).expand_as(y) + torch.ones(1).type_as(y)


@forward()
def nested_outputs(self: Any, x: Tensor) -> Any:
    y = self.a(x)
    return {"out": self.b(y), "more": [None, (self.c(y), 3)]}


@forward()
def its_own_subclass_of_tensor(self: Any, x: Tensor) -> Tensor:
    class Image(Tensor):
        pass

    return self.a(x.as_subclass(Image))


CASES["its_own_subclass_of_tensor"] = (CASES["its_own_subclass_of_tensor"][0], "real")


@forward()
def custom_autograd(self: Any, x: Tensor) -> Tensor:
    class Convolve(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
            ctx.save_for_backward(x)
            return F.conv2d(x, weight)

    return Convolve.apply(x, self.a.weight)


@forward("real")
def a_branch_on_values(self: Any, x: Tensor) -> Tensor:
    x = self.a(x)
    if x.mean() > -100:
        x = self.b(x)
    return self.c(x)


@forward("real")
def item(self: Any, x: Tensor) -> Tensor:
    return self.a(x) * x.std().item()


@forward("real")
def tolist(self: Any, x: Tensor) -> Tensor:
    best = self.a(x).mean((2, 3)).argmax(1).tolist()[0]
    return self.b(self.a(x))[:, : 1 + best]


@forward("real")
def an_assertion_on_values(self: Any, x: Tensor) -> Tensor:
    assert not torch.isnan(x).any()
    return self.a(x)


@forward("real")
def the_name_of_the_device(self: Any, x: Tensor) -> Tensor:
    if x.device.type not in ("cpu", "cuda"):
        raise NotImplementedError(x.device.type)
    return self.a(x)


@forward("real")
def autocast(self: Any, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, dtype=torch.bfloat16):
        return self.b(self.a(x))


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # checkpoint's
@pytest.mark.parametrize("name", CASES)
def test_parameters_products_and_rung(name: str) -> None:
    build, rung = CASES[name]
    module = build()
    dtype = next((p.dtype for p in module.parameters()), torch.float32)
    expected = counted(build(), torch.rand(1, *SHAPE).to(dtype))
    analysis = analyze(module, SHAPE)
    assert analysis.rung == rung
    assert analysis.totals.macs == expected
    assert analysis.totals.params == sum(p.numel() for p in module.parameters())
    assert analysis.totals.unknown_ops == ()
    assert sum(row.params for row in analysis.layers) == analysis.totals.params
    assert sum(row.macs or 0 for row in analysis.layers) == expected
    assert Analysis.from_json(analysis.to_json()) == analysis


def test_lazy_layers_are_settled_on_a_copy() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(10))

    module = build()
    analysis = analyze(module, SHAPE)
    assert isinstance(module[0], nn.LazyConv2d)
    assert isinstance(module[0].weight, nn.UninitializedParameter)
    real = build()
    assert analysis.totals.macs == counted(real, torch.rand(1, *SHAPE))
    assert analysis.totals.params == sum(p.numel() for p in real.parameters())
    assert [row.type for row in analysis.layers] == [
        "Conv2d",
        "BatchNorm2d",
        "Flatten",
        "Linear",
        "Sequential",
    ]


def test_a_lazy_network_that_fails_says_where() -> None:
    from cifar_report.analyzer.errors import ModelError

    with pytest.raises(ModelError, match=r"in 1 \(LazyConv1d\)"):
        analyze(nn.Sequential(nn.LazyConv2d(8, 3), nn.LazyConv1d(8, 3)), SHAPE)


def test_frozen_parameters_stand_apart() -> None:
    totals = analyze(frozen(), SHAPE).totals
    assert totals.frozen_params == 8 * 3 * 9 + 8
    assert totals.trainable_params == 16 + 8 * 4 + 4


def test_a_network_on_meta_gives_the_same_as_one_with_values() -> None:
    with torch.device("meta"):
        module = small()
        module.register_buffer("scale", torch.ones(1))
    module.register_forward_hook(lambda self, args, out: out * (self.scale + torch.ones(1)))
    analysis, real = analyze(module, SHAPE), analyze(small(), SHAPE)
    assert analysis.rung == "meta"
    assert analysis.totals.macs == real.totals.macs
    assert analysis.totals.params == real.totals.params


def test_a_network_on_meta_that_asks_for_the_device_runs_on_fake_tensors() -> None:
    class Asks(Three):
        def forward(self, x: Tensor) -> Tensor:
            assert x.device.type == "cpu"
            with torch.autocast(x.device.type, dtype=torch.bfloat16):
                return self.c(self.a(x) * torch.ones(8, 1, 1, device=x.device)).add_(1)

    with torch.device("meta"):
        module = Asks()
    analysis = analyze(module, SHAPE)
    assert analysis.rung == "fake"
    assert analysis.totals.macs == counted(Asks(), torch.rand(1, *SHAPE))
    assert analysis.totals.receptive_field.output.size == (3, 3)
    assert analysis.totals.unknown_ops == ()


def test_fake_tensors_give_the_same_trace_as_meta_ones() -> None:
    class Asks(nn.Module):
        def __init__(self, network: nn.Module, device: str) -> None:
            super().__init__()
            self.network, self.device = network, device

        def forward(self, x: Tensor) -> Tensor:
            assert x.device.type == self.device
            return self.network(x)

    with torch.device("meta"):
        network = torchvision.models.mobilenet_v3_small()
    fake, meta = (analyze(Asks(network, device), (3, 64, 64)) for device in ("cpu", "meta"))
    assert (fake.rung, meta.rung) == ("fake", "meta")
    assert fake.operators == meta.operators
    assert fake.layers == meta.layers
    assert fake.totals == meta.totals


def test_real_tensors_give_the_same_trace_as_meta_ones() -> None:
    class Looks(nn.Module):
        def __init__(self, network: nn.Module, looks: bool) -> None:
            super().__init__()
            self.network, self.looks = network, looks

        def forward(self, x: Tensor) -> Tensor:
            assert not self.looks or x.sum().item() > 0
            return self.network(x)

    network = torchvision.models.mobilenet_v3_small()
    real, meta = (analyze(Looks(network, looks), (3, 64, 64)) for looks in (True, False))
    assert (real.rung, meta.rung) == ("real", "meta")
    assert real.totals.macs == meta.totals.macs
    assert [row.name for row in real.layers if row.name not in ("sum", "")] == [
        row.name for row in meta.layers if row.name
    ]
    assert real.totals.receptive_field == meta.totals.receptive_field


def test_what_comes_back_from_numpy_is_unknown_and_what_follows_still_counts() -> None:
    class Leaves(Three):
        def forward(self, x: Tensor) -> Tensor:
            return self.c(torch.from_numpy(np.tanh(self.a(x).numpy())))

    analysis = analyze(Leaves(), SHAPE)
    assert analysis.rung == "real"
    assert analysis.totals.unknown_ops == ("outside_torch in the network itself",)
    assert analysis.totals.receptive_field.output.kind == "unknown"
    assert analysis.totals.macs is None
    assert next(row for row in analysis.layers if row.name == "c").macs == 14 * 14 * 8 * 4


def test_numpy_that_shares_memory_loses_nothing() -> None:
    class Returns(Three):
        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.from_numpy(self.a(x).numpy()))

    analysis = analyze(Returns(), SHAPE)
    assert analysis.totals.receptive_field.output.size == (5, 5)
    assert analysis.totals.macs == counted(Returns(), torch.rand(1, *SHAPE))


def test_batch_normalisation_that_insists_on_training_runs_on_a_batch_of_one() -> None:
    class Insists(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm1d(8)

        def forward(self, x: Tensor) -> Tensor:
            self.norm.train()
            return self.norm(self.conv(x).mean((2, 3)))

    analysis = analyze(Insists(), SHAPE)
    assert (analysis.rung, analysis.totals.macs) == ("meta", 8 * 27 * 14 * 14)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        Insists()(torch.rand(1, *SHAPE))  # and torch itself still refuses it


def test_torch_compile_is_seen_through() -> None:
    plain = small(nn.Conv2d(8, 4, 1))
    inner = small(torch.compile(nn.Conv2d(8, 4, 1)))
    in_place = small(nn.Conv2d(8, 4, 1))
    in_place.compile()
    expected = analyze(plain, SHAPE).totals
    for module in (torch.compile(plain), inner, in_place):
        analysis = analyze(module, SHAPE)
        assert analysis.totals.macs == expected.macs
        assert analysis.totals.params == expected.params
        assert analysis.rung == "meta"


def test_recurrent_layers_count_every_step() -> None:
    class Recurs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.LSTM(16, 8, 2, batch_first=True, bidirectional=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x.flatten(1, 2))[0]

    steps, hidden = 3 * 16, 8
    first, second = (16 + hidden) * 4 * hidden, (2 * hidden + hidden) * 4 * hidden
    assert analyze(Recurs(), SHAPE).totals.macs == steps * 2 * (first + second)


def test_slices_written_in_place_keep_the_receptive_field_exact() -> None:
    class Writes(Three):
        def forward(self, x: Tensor) -> Tensor:
            y = self.a(x)
            z = F.pad(self.b(y), (1, 1, 1, 1))
            out = torch.zeros_like(y)
            left, right = out.chunk(2, 1)
            left.copy_(y[:, :4])
            right.copy_(z[:, 4:])
            out[:, 0] = z[:, 0]
            return out[:, 1:4], out[:, :1], out[:, 4:]

    class Taken(nn.Module):
        def __init__(self, place: int) -> None:
            super().__init__()
            self.writes, self.place = Writes(), place

        def forward(self, x: Tensor) -> Tensor:
            return self.writes(x)[self.place]

    sizes = [analyze(Taken(place), SHAPE).totals.receptive_field.output.size for place in range(3)]
    assert sizes == [(3, 3), (5, 5), (5, 5)]


def test_an_output_that_was_written_to_through_a_view() -> None:
    class Writes(Three):
        def forward(self, x: Tensor) -> Tensor:
            out = self.a(x)
            out[:, :, 0] = F.pad(self.b(out), (1, 1, 1, 1))[:, :, 0]
            return out

    analysis = analyze(Writes(), SHAPE)
    assert analysis.operators[-1].op == "write_select"
    assert analysis.layers[-1].output_shape == (1, 8, 14, 14)


def test_a_view_taken_before_a_write_sees_the_write() -> None:
    class Writes(Three):
        def forward(self, x: Tensor) -> Tensor:
            y = self.a(x)
            turned = y.transpose(2, 3).flatten(2)[:, 2:6]
            y.copy_(F.pad(self.b(y), (1, 1, 1, 1)))
            return turned.unflatten(2, (14, 14)).transpose(2, 3)

    field = analyze(Writes(), SHAPE).totals.receptive_field.output
    assert (field.kind, field.size, field.stride) == ("local", (5, 5), (1, 1))


@pytest.mark.parametrize("depth", [3000])
def test_a_list_of_thousands_of_layers(depth: int) -> None:
    module = nn.Sequential(*[nn.Conv2d(3, 3, 3, padding=1) for _ in range(depth)])
    analysis = analyze(module, (3, 8, 8))
    assert analysis.totals.macs == depth * 81 * 64
    assert analysis.totals.receptive_field.output.size == (2 * depth + 1, 2 * depth + 1)
    assert len(analysis.layers) == depth + 1


def test_recursion_that_ends() -> None:
    class Folds(Three):
        def forward(self, x: Tensor, times: int = 3) -> Tensor:
            return self.a(x) if times == 0 else self(x.relu(), times - 1)

    analysis = analyze(Folds(), SHAPE)
    assert [row.reused for row in analysis.layers if row.type == "Folds"] == [True, True, True, False]
    assert analysis.totals.macs == 8 * 27 * 14 * 14


def test_an_analysis_imports_neither_the_compiler_nor_sympy() -> None:
    code = (
        "import sys, torch; from cifar_report.analyzer import analyze;"
        "analyze(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.ReLU()));"
        "print(sorted({'torch._dynamo', 'sympy', 'torchvision', 'numpy.random'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
