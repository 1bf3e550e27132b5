"""Trace a network: on meta tensors, then, where those can't go, on fake and on real ones."""

from __future__ import annotations

import sys
from collections.abc import Container
from io import StringIO
from typing import Any, TextIO

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._pytree import tree_flatten

from cifar_report.analyzer.errors import ModelError
from cifar_report.analyzer.failure import forward_failure
from cifar_report.analyzer.graph import Trace
from cifar_report.analyzer.inputs import Arguments, example, image_index, read_inputs
from cifar_report.analyzer.isolation import undisturbed
from cifar_report.analyzer.tracer import META, Tracer


def trace_network(module: nn.Module, inputs: Any, known: Container[str]) -> Trace:
    """Run a network once on a batch of one and record every operator.

    Meta tensors have no values and no device to ask for; what fails for lack of these is tried again on
    real ones, and so is a network that is broken: there it fails with the message that its author knows.

    Args:
        module: any network; neither it nor the process is changed. What it prints goes to stderr.
        inputs: one shape without the batch, such as (3, 32, 32), or what `read_inputs` takes.
        known: names of the operators that should be recorded whole.

    Raises:
        ModelError: its forward raises on real tensors too; says where, and what reached it.
    """
    arguments = read_inputs(inputs)
    printed = StringIO()
    meta = Tracer(module, known)
    try:
        return _run(module, arguments, meta, printed)
    except (Exception, SystemExit) as meta_error:
        tracer, error = meta, meta_error
        if not (isinstance(meta_error, RecursionError) or any(p.is_meta for p in module.parameters())):
            printed = StringIO()
            tracer = Tracer(module, known, kernels=True)
            try:
                return _run(module, arguments, tracer, printed)
            except (Exception, SystemExit) as real_error:
                error = real_error
        raise forward_failure(
            module, tracer, error, arguments, lambda other: _runs(module, other, known)
        ) from error
    finally:
        sys.stderr.write(printed.getvalue())


def input_dtype(module: nn.Module) -> torch.dtype:
    """Return the dtype that a network computes in: its first floating-point parameter's."""
    dtypes = (p.dtype for p in module.parameters() if p.dtype.is_floating_point)
    return next(dtypes, torch.get_default_dtype())


def _runs(module: nn.Module, arguments: Arguments, known: Container[str]) -> bool:
    """Return whether a network takes other inputs, on meta tensors."""
    try:
        _run(module, arguments, Tracer(module, known), StringIO())
    except (Exception, SystemExit):
        return False
    return True


def _run(module: nn.Module, arguments: Arguments, tracer: Tracer, printed: TextIO) -> Trace:
    dtype = input_dtype(module)
    device = META
    if tracer.kernels:
        device = next((p.device for p in module.parameters()), torch.device("cpu"))
    trace = tracer.trace
    with undisturbed(module, printed):
        # Made under inference mode, like everything that the network makes.
        args, kwargs, tensors = arguments.build(lambda spec: example(spec, dtype, device))
        trace.inputs = tuple([tracer.new_value(tensor, -1 - i) for i, tensor in enumerate(tensors)])
        trace.image = image_index(arguments.specs())
        hooks = (
            register_module_forward_pre_hook(tracer.enter_module),
            register_module_forward_hook(tracer.leave_module, always_call=True),
        )
        try:
            with tracer:
                output = module(*args, **kwargs)
        finally:
            for hook in hooks:
                hook.remove()
            tracer.restore_versions()
        trace.outputs = tracer.values_in(output)
    if not any(isinstance(leaf, Tensor) for leaf in tree_flatten(output)[0]):
        raise ModelError(
            f"the network returned {type(output).__name__}, which holds no tensor",
            expected="forward returns the tensor that it computes, or a tuple or dict with tensors",
            hint="does forward end with a return statement?" if output is None else "",
        )
    return trace
