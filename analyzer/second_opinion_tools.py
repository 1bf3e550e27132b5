"""Run fvcore and torchscan on a copy of a network, and read their figures layer by layer.

Both install hooks, fvcore forgets its own when the network raises, and a network may write to its
buffers while they run it: hence a copy. What they print and warn about is kept as notes.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

from cifar_report.analyzer.inputs import example, read_inputs
from cifar_report.analyzer.isolation import random_state, settings


@dataclass(frozen=True, slots=True)
class Count:
    """What a tool says of one module, without the modules in it."""

    macs: int | None
    operators: dict[str, int] = field(default_factory=dict)
    """The figure's parts, where the tool names them."""
    missing: tuple[str, ...] = ()
    """What it says that it has no formula for."""
    field: float | None = None
    """Receptive field [px] with respect to the module's own input."""


@dataclass(frozen=True, slots=True)
class ToolReport:
    """Everything that one tool said, or how it failed."""

    tool: str
    version: str
    convention: str
    """What it calls MACs."""
    params: int | None = None
    macs: int | None = None
    layers: dict[str, Count] = field(default_factory=dict)
    """By dotted path of the module, the first one where it has several."""
    notes: tuple[str, ...] = ()
    """What it printed and warned about."""
    failure: str | None = None
    """The error that ended it; it has no figures then."""


Figures = tuple[int, int | None, dict[str, Count]]
"""Parameters, MACs, and the counts of layers."""

Ask = Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], Figures]


def ask_fvcore(module: nn.Module, inputs: Any) -> ToolReport:
    """Run fvcore's FlopCountAnalysis, the way its documentation does.

    Raises:
        ModuleNotFoundError: it isn't installed.
    """
    with _unnoticed():
        # Here, because a library that isn't installed is the caller's news and not the tool's failure.
        import fvcore.nn  # noqa: F401 - only to see whether it is there
    convention = "one multiply-add is one flop; adds normalisation, resizing and adaptive pooling"
    return _asked("fvcore", convention, module, inputs, _fvcore_figures)


def ask_torchscan(module: nn.Module, inputs: Any) -> ToolReport:
    """Run torchscan's crawl_module.

    Raises:
        ModuleNotFoundError: it isn't installed.
    """
    with _unnoticed():
        import torchscan  # noqa: F401 - only to see whether it is there
    convention = "multiply-accumulates of modules; adds normalisation and pooling"
    return _asked("torchscan", convention, module, inputs, _torchscan_figures)


def _asked(tool: str, convention: str, module: nn.Module, inputs: Any, ask: Ask) -> ToolReport:
    """Call the network as its user would, on a copy."""
    arguments = read_inputs(inputs)
    parameter = next((p for p in module.parameters() if p.dtype.is_floating_point), None)
    dtype = torch.get_default_dtype() if parameter is None else parameter.dtype
    device = torch.device("cpu") if parameter is None or parameter.is_meta else parameter.device
    failure: str | None = None
    params, macs, layers = None, None, dict[str, Count]()
    with _unnoticed() as notes:
        try:
            args, kwargs, _ = arguments.build(lambda spec: example(spec, dtype, device))
            params, macs, layers = ask(_copy(module), args, kwargs)
        except (Exception, SystemExit) as error:
            failure = f"{type(error).__name__}: {_first_line(error)}"
    said = tuple(dict.fromkeys(notes))
    return ToolReport(tool, version(tool), convention, params, macs, layers, said, failure)


def _copy(module: nn.Module) -> nn.Module:
    """Return a copy in eval mode; zeros stand in for weights that were never allocated."""
    network = copy.deepcopy(module).eval()
    tensors = [*network.parameters(), *network.buffers()]
    if any(tensor.is_meta for tensor in tensors):
        network.to_empty(device="cpu")
        with torch.no_grad():
            for tensor in [*network.parameters(), *network.buffers()]:
                tensor.zero_()
    return network


def _fvcore_figures(network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Figures:
    from fvcore.nn import FlopCountAnalysis, parameter_count

    if kwargs:
        raise TypeError(f"it takes no arguments by keyword ({', '.join(kwargs)})")
    counter = FlopCountAnalysis(network, args)
    counter.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    counts = counter.by_module_and_operator()
    missing = {path: counter.unsupported_ops(path) for path in counts}
    uncalled = counter.uncalled_modules()
    layers = {}
    for path in counts:
        if path in uncalled:
            continue
        inside = [name for name in counts if name and name != path and name.rpartition(".")[0] == path]
        own = _minus(counts[path], [counts[name] for name in inside])
        unknown = _minus(missing[path], [missing[name] for name in inside])
        names = tuple(op.removeprefix("aten::") for op, calls in unknown.items() if calls > 0)
        layers[path] = Count(sum(own.values()), own, names)
    return int(parameter_count(network)[""]), int(counter.total()), layers


def _minus(total: Counter[str], parts: list[Counter[str]]) -> dict[str, int]:
    """Return a module's own counts: its subtree's without its children's."""
    rest = {name: int(figure) for name, figure in total.items()}
    for part in parts:
        for name, figure in part.items():
            rest[name] -= int(figure)
    return rest


def _torchscan_figures(network: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Figures:
    from torchscan import crawl_module

    report = crawl_module(network, args=args, kwargs=kwargs)
    missing: dict[str, str] = {
        str(note["path"]): str(note["message"]).rpartition(": ")[2]
        for note in report["diagnostics"]
        if note["metric"] == "macs" and "path" in note
    }
    layers: dict[str, Count] = {}
    for call in report["layers"]:
        path = call["path"]
        macs = call["metrics"].get("macs", {}).get("known_value")
        before = layers[path].macs if path in layers else None
        if before is not None and macs is not None:
            macs += before
        size = call["metrics"].get("receptive_field", {})
        seen = size.get("value") if size.get("status") == "complete" else None
        unknown = (missing[path],) if path in missing else ()
        layers[path] = Count(None if macs is None else int(macs), {}, unknown, seen)
    totals = report["totals"]
    total = totals["macs"]["known_value"]
    return int(totals["parameters"]["value"]), None if total is None else int(total), layers


@contextmanager
def _unnoticed() -> Iterator[list[str]]:
    """Keep what is printed and warned about, and put the process back as it was; yields the notes."""
    notes: list[str] = []
    printed = io.StringIO()
    with random_state(), settings(), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with redirect_stdout(printed), redirect_stderr(printed):
            yield notes
    notes += [line for line in printed.getvalue().splitlines() if line.strip()]
    notes += [_first_line(warning.message) for warning in warned]


def _first_line(error: Exception | Warning | SystemExit | str) -> str:
    return next(iter(str(error).strip().splitlines()), "without a message")
