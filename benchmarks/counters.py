"""Five other tools and torch's own counter behind one face: a network and its input in, two figures out.

Each tool is called as its documentation does, on the network in eval mode, with printing off. For
their figures and for ours the truth is `sum(p.numel())` and half of `torch.utils.flop_counter`'s count.

    pip install torchinfo torchscan fvcore ptflops thop
"""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

OURS = "cifar-report"
FORWARD = "forward pass"


@dataclass(frozen=True)
class Count:
    """What a tool says."""

    params: float | None
    macs: float | None
    field: tuple[int, ...] | None = None
    """Receptive field of the last layer that it gives one for, per axis [px]."""
    by_operators: float | None = None
    """torchscan has a second count of MACs, half of its operator FLOPs."""


Counter = Callable[[nn.Module, Tensor], Count]


def ours(network: nn.Module, x: Tensor) -> Count:
    """Return our figures; every layer's receptive field is among what is computed."""
    from cifar_report.analyzer import analyze
    from cifar_report.analyzer.analysis import InputSpec

    spec = InputSpec(tuple(x.shape[1:]), str(x.dtype).removeprefix("torch."))
    totals = analyze(network, inputs=[spec]).totals
    return Count(totals.params, totals.macs, totals.receptive_field.output.size)


def torchinfo(network: nn.Module, x: Tensor) -> Count:
    """Return the totals of `torchinfo.summary`, which says mult-adds."""
    from torchinfo import summary
    from torchinfo.torchinfo import _cached_forward_pass

    totals = summary(network, input_data=x, verbose=0)
    _cached_forward_pass.clear()  # it would keep every network alive
    return Count(totals.total_params, totals.total_mult_adds)


def torchscan(network: nn.Module, x: Tensor) -> Count:
    """Return the totals of `torchscan.crawl_module`."""
    from torchscan import crawl_module

    report = crawl_module(network, args=(x,))
    totals = report["totals"]
    fields = [layer["metrics"].get("receptive_field", {}).get("value") for layer in report["layers"]]
    last = next((field for field in reversed(fields) if field is not None), None)
    operators = totals["operator_flops"]["known_value"]
    return Count(
        totals["parameters"]["value"],
        totals["macs"]["known_value"],
        None if last is None else (int(last),) * (x.ndim - 2),
        None if operators is None else operators / 2,
    )


def fvcore(network: nn.Module, x: Tensor) -> Count:
    """Return `FlopCountAnalysis`'s total, in which a multiply-add is one flop."""
    from fvcore.nn import FlopCountAnalysis, parameter_count

    total = FlopCountAnalysis(network, x).total()
    return Count(parameter_count(network)[""], total)


def ptflops(network: nn.Module, x: Tensor) -> Count:
    """Return `get_model_complexity_info`'s figures from its default engine."""
    from ptflops import get_model_complexity_info

    macs, params = get_model_complexity_info(
        network,
        tuple(x.shape[1:]),
        as_strings=False,
        print_per_layer_stat=False,
        verbose=False,
        input_constructor=lambda _: x,
    )
    if macs is None or params is None:
        raise RuntimeError("it failed and says so by None")
    return Count(params, macs)


def thop(network: nn.Module, x: Tensor) -> Count:
    """Return the figures of `thop.profile`."""
    from thop import profile

    macs, params = profile(network, inputs=(x,), verbose=False)
    return Count(params, macs)


def forward(network: nn.Module, x: Tensor) -> Count:
    """Run the network itself."""
    with torch.inference_mode():
        network(x)
    return Count(None, None)


OTHERS: dict[str, Counter] = {
    "torchinfo": torchinfo,
    "torchscan": torchscan,
    "fvcore": fvcore,
    "ptflops": ptflops,
    "thop": thop,
}
ALL: dict[str, Counter] = {OURS: ours, **OTHERS, FORWARD: forward}


def truth(network: nn.Module, *inputs: Tensor) -> Count:
    """Count parameters and MACs with torch alone, on tensors without values where that goes.

    Attention's fused paths are off: in them the counter sees no products.
    """
    params = sum(p.numel() for p in network.parameters())
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        try:
            flops = _flops(without_values(network), *[x.to("meta") for x in inputs])
        except Exception:
            flops = _flops(twin(network), *inputs)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return Count(params, flops / 2)


def _flops(network: nn.Module, *inputs: Tensor) -> int:
    with torch.no_grad(), sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        network(*inputs)
    return int(counter.get_total_flops())


def twin(network: nn.Module) -> nn.Module:
    """Return a copy that shares all tensors, for tools that leave hooks and attributes behind."""
    memo: dict[int, Any] = {id(t): t for t in (*network.parameters(), *network.buffers())}
    return copy.deepcopy(network, memo)


def without_values(network: nn.Module) -> nn.Module:
    """Return a copy on the meta device; tied weights stay tied."""
    memo: dict[int, Any] = {}
    for parameter in network.parameters():
        memo[id(parameter)] = nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad)
    for buffer in network.buffers():
        memo[id(buffer)] = buffer.to("meta")
    return copy.deepcopy(network, memo)


@contextlib.contextmanager
def silence() -> Iterator[None]:
    """Swallow what tools print, log and warn about."""
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            yield
    finally:
        logging.disable(logging.NOTSET)


def ask(counter: Counter, network: nn.Module, x: Tensor) -> tuple[Count, str | None]:
    """Return a tool's figures, or how it failed."""
    try:
        with silence():
            return counter(network, x), None
    except (Exception, SystemExit) as error:
        lines = str(error).strip().splitlines() or [""]
        return Count(None, None), f"{type(error).__name__}: {lines[0][:120]}"


def versions() -> str:
    """Return the tools' versions in a sentence."""
    return ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", *OTHERS))
