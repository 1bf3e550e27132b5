"""Say where a forward pass stopped, what had reached that place, and which input would have passed."""

from __future__ import annotations

import inspect
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from cifar_report.analyzer.analysis import InputSpec
from cifar_report.analyzer.errors import ModelError
from cifar_report.analyzer.graph import ModuleCall
from cifar_report.analyzer.inputs import Arguments, spelled
from cifar_report.analyzer.load_failure import shown_path
from cifar_report.analyzer.tracer import Tracer

_OWN_FOLDER = Path(__file__).parent
_LIBRARIES = (Path(torch.__file__).parents[1], Path(traceback.__file__).parent)
"""Site-packages and the standard library."""

_SHOWN = 5
"""How many of the operators before the failure are shown."""

_SIZES = (28, 32, 64, 96, 128, 160, 192, 224, 227, 256, 299, 384, 512)
"""Image sizes that networks are made for."""

_LENGTHS = (32, 128, 1024, 16_000)

_SEARCH_SECONDS = 1.0

Runs = Callable[[Arguments], bool]


def forward_failure(
    tracer: Tracer, error: BaseException, call: ModuleCall | None, arguments: Arguments, runs: Runs
) -> ModelError:
    """Return the message for a forward pass that raised.

    Args:
        tracer: holds what was traced up to there.
        error: what it raised.
        call: in which call of a module.
        arguments: what it was called with.
        runs: tells whether the network takes other inputs; an input is proposed only if it does.
    """
    module = tracer.trace.tree.modules[0]
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, ModelError):
        return error
    if tracer.calls.stray:
        return thread_failure(tracer.calls.stray)
    if frames and Path(frames[-1].filename).parent == _OWN_FOLDER and not isinstance(error, RecursionError):
        raise error  # a bug of ours, and not to be blamed on the network
    given = " and ".join(spelled(spec) for spec in arguments.specs())
    missing = _missing_arguments(module, arguments)
    if missing:
        return ModelError(
            f"the network's forward doesn't take what it was given ({given}): {missing}",
            expected=f"forward{inspect.signature(module.forward)}",
            hint="give every input its shape: --input 3,32,32 --input mask=1,32,32",
        )
    found = [text for text in (_line(frames), _reached(call), *_traced(tracer)) if text]
    return ModelError(
        f"the network {_raised(error)} in {_place(module, call)}{_said(error)}",
        expected=f"a forward pass that takes a batch of one of {given}",
        found=("\n" + 12 * " ").join(found),
        hint=_hint(module, error, arguments, runs),
    )


def thread_failure(layer: str) -> ModelError:
    """Return the message for a forward pass that leaves its thread."""
    return ModelError(
        f"forward runs {layer} on a thread of its own, which the analysis can't follow",
        expected="a forward pass on one thread",
        hint="for the analysis, call the layers one after the other",
    )


def _raised(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"called sys.exit({'' if error.code is None else repr(error.code)})"
    if isinstance(error, RecursionError):
        return "called itself until Python's stack was full"
    return f"raised {type(error).__name__}"


def _said(error: BaseException) -> str:
    """Return an exception's message in one line."""
    if isinstance(error, SystemExit | RecursionError):
        return ""
    try:
        text = str(error)
    except Exception:
        text = "(its message can't be read)"
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = " / ".join(lines) or "no message"
    return f": {said[:400]}{' ...' if len(said) > 400 else ''}"


def _place(module: nn.Module, call: ModuleCall | None) -> str:
    if call is None or not call.path:
        return f"its own forward ({type(module).__name__})"
    return f"{call.path} ({type(call.module).__name__})"


def _line(frames: traceback.StackSummary) -> str:
    """Return `model.py, line 3: text` for the innermost line outside of libraries."""
    own = [
        frame
        for frame in frames
        if not any(Path(frame.filename).is_relative_to(folder) for folder in (_OWN_FOLDER, *_LIBRARIES))
    ]
    if not own:
        return ""
    return f"{shown_path(Path(own[-1].filename))}, line {own[-1].lineno}: {own[-1].line}"


def _reached(call: ModuleCall | None) -> str:
    if call is None:
        return ""
    return f"it got {', '.join(str(list(value.shape)) for value in call.inputs) or 'no tensor'}"


def _traced(tracer: Tracer) -> Iterator[str]:
    """Yield what had run before, the last operators first in order."""
    nodes = tracer.trace.nodes
    if not nodes:
        yield "nothing had been computed before it"
        return
    yield f"before it ran {len(nodes):,} operator{'s' if len(nodes) > 1 else ''}" + (
        f", the last {_SHOWN}:" if len(nodes) > _SHOWN else ":"
    )
    for node in nodes[-_SHOWN:]:
        shape = list(node.outputs[0].shape) if node.outputs else ""
        yield f"  {node.op} in {tracer.trace.calls[node.call].path or 'the network itself'}: {shape}"


def _missing_arguments(module: nn.Module, arguments: Arguments) -> str:
    """Return why a forward's parameters don't take the arguments, empty when they do."""
    try:
        signature = inspect.signature(module.forward)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind(*arguments.args, **arguments.kwargs)
    except TypeError as error:
        return str(error)
    return ""


def _hint(module: nn.Module, error: BaseException, arguments: Arguments, runs: Runs) -> str:
    """Return an input that the network does take, found by trying; else what to look at."""
    if isinstance(error, SystemExit):
        return "a network is called to compute: take sys.exit out of forward"
    if isinstance(error, NotImplementedError) and type(module).forward is nn.Module.forward:
        return "give the class a method forward(self, x)"
    said = _said(error)
    if "does not require grad" in said:
        return "forward asks for gradients of its own; the analysis runs without"
    if any(p.is_meta for p in module.parameters()) and ("meta" in said or "DataDependent" in _raised(error)):
        return "its parameters are on the meta device and have no values: build it on the cpu"
    specs = arguments.specs()
    if len(specs) != 1 or not isinstance(error, RuntimeError | ValueError | AssertionError | IndexError):
        return ""
    if isinstance(error, RecursionError | NotImplementedError):
        return ""
    end = time.monotonic() + _SEARCH_SECONDS
    for spec in _candidates(module, specs[0]):
        if time.monotonic() > end:
            break
        if spec != specs[0] and runs(_with(arguments, spec)):
            return f"it runs with --input {spelled(spec)}"
    return "is the input's shape right? It is C,H,W without the batch, such as --input 3,32,32"


def _with(arguments: Arguments, spec: InputSpec) -> Arguments:
    args, kwargs, _ = arguments.build(lambda _: spec)  # type: ignore[arg-type, return-value]  # it fills in anything
    return Arguments(args, kwargs)


def _candidates(module: nn.Module, given: InputSpec) -> Iterator[InputSpec]:
    """Yield inputs that might be meant, the likeliest first, from the first layer with weights."""
    if len(given.shape) > 1 and given.shape[0] == 1:
        yield InputSpec(given.shape[1:], given.dtype)  # a batch was given too
    first = next(_first_layers(module), None)
    if isinstance(first, nn.Embedding):
        for length in (given.shape[-1], 16):
            yield InputSpec((length,), "int64")
    elif isinstance(first, nn.Linear):
        yield InputSpec((first.in_features,))
        yield InputSpec((*given.shape[:-1], first.in_features))
    elif isinstance(first, nn.RNNBase):
        yield InputSpec((given.shape[-1], first.input_size))
    elif first is not None:
        axes = int(type(first).__name__[-2])
        channels = int(first.in_channels)  # type: ignore[arg-type]  # convolutions have it
        if len(given.shape) == axes + 1:
            yield InputSpec((channels, *given.shape[1:]), given.dtype)
        for size in _SIZES if axes > 1 else _LENGTHS:
            yield InputSpec((channels, *(16,) * (axes - 2), *(size,) * min(axes, 2)))
    else:
        for size in _SIZES:
            yield InputSpec((given.shape[0], *(size for _ in given.shape[1:])), given.dtype)


def _first_layers(module: nn.Module) -> Iterator[nn.Module]:
    convolutions = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
    kinds = (*convolutions, nn.Linear, nn.Embedding, nn.RNNBase)
    return (child for child in module.modules() if isinstance(child, kinds))
