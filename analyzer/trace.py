"""Trace a network: first on meta tensors, then, where those can't go, on real ones."""

from __future__ import annotations

import traceback
from collections.abc import Container, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._pytree import tree_flatten

from cifar_report.analyzer.errors import ModelError
from cifar_report.analyzer.graph import Trace
from cifar_report.analyzer.isolation import undisturbed
from cifar_report.analyzer.tracer import META, Tracer

_OWN_FOLDER = str(Path(__file__).parent)


def trace_network(module: nn.Module, input_shape: Sequence[int], known: Container[str]) -> Trace:
    """Run a network once on a batch of one and record every operator.

    Args:
        module: any network; neither it nor the process is changed.
        input_shape: of one example, without the batch, such as (3, 32, 32).
        known: names of the operators that should be recorded whole.

    Raises:
        ModelError: its forward raises on real tensors too; says where, and what reached it.
    """
    shape = (1, *input_shape)
    tracer = Tracer(module, known)
    try:
        return _run(module, torch.empty(shape, dtype=input_dtype(module), device=META), tracer)
    except (Exception, SystemExit) as error:
        # A value was asked of a tensor that has none, or a kernel is missing on meta. Or the network
        # is broken: then it fails on real tensors too, with the message that its author knows.
        meta_error = error
        meta_tracer = tracer
    if any(parameter.is_meta for parameter in module.parameters()):
        raise _failure(module, meta_tracer, meta_error, input_shape) from meta_error
    tracer = Tracer(module, known, kernels=True)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    example = torch.rand(shape, generator=torch.Generator().manual_seed(0)).to(device, input_dtype(module))
    try:
        return _run(module, example, tracer)
    except (Exception, SystemExit) as error:
        raise _failure(module, tracer, error, input_shape) from error


def input_dtype(module: nn.Module) -> torch.dtype:
    """Return the dtype that a network computes in: its first floating-point parameter's."""
    dtypes = (p.dtype for p in module.parameters() if p.dtype.is_floating_point)
    return next(dtypes, torch.get_default_dtype())


def _run(module: nn.Module, example: Tensor, tracer: Tracer) -> Trace:
    hooks = []
    with undisturbed(module):
        if not example.is_meta:
            example = example.clone()  # made under inference mode, like everything the network makes
        tracer.trace.inputs = (tracer.new_value(example, -1),)
        hooks.append(register_module_forward_pre_hook(tracer.enter_module))
        hooks.append(register_module_forward_hook(tracer.leave_module))
        try:
            with tracer:
                output = module(example)
                tensors = [leaf for leaf in tree_flatten(output)[0] if isinstance(leaf, Tensor)]
        finally:
            for hook in hooks:
                hook.remove()
    tracer.trace.outputs = tracer.trace.calls[0].outputs
    if not tensors:
        raise TypeError(f"the network returned {type(output).__name__}, which holds no tensor")
    return tracer.trace


def _failure(module: nn.Module, tracer: Tracer, error: BaseException, shape: Sequence[int]) -> ModelError:
    """Describe where a forward pass stopped."""
    if isinstance(error, ModelError):
        return error
    place = type(module).__name__
    found = ""
    if tracer.stack:
        call = tracer.stack[-1]
        path = call.path or "the network itself"
        place = f"{path} ({type(call.module).__name__})"
        shapes = ", ".join(str(list(value.shape)) for value in call.inputs)
        found = f"this layer got {shapes or 'no tensor'}"
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if f"{Path(torch.__file__).parent}" not in frame.filename and _OWN_FOLDER not in frame.filename
    ]
    where = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    text = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
    done = len(tracer.trace.nodes)
    return ModelError(
        f"the network raised {type(error).__name__} in {place}{where}: {text}",
        expected=f"a forward pass that takes one batch of shape {[1, *shape]}",
        found=f"{found}; {done} operators had run before it" if found else "",
        hint="is --input right? It is C,H,W without the batch, such as --input 3,32,32",
    )
