"""Trace a network: on meta tensors, then, where those can't go, on fake and on real ones."""

from __future__ import annotations

import copy
import sys
from collections.abc import Container, Iterator
from contextlib import nullcontext, redirect_stdout, suppress
from io import StringIO
from typing import Any, TextIO

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedBuffer, is_lazy
from torch.utils._pytree import tree_flatten

from cifar_report.analyzer.errors import ModelError
from cifar_report.analyzer.failure import forward_failure, thread_failure
from cifar_report.analyzer.graph import Trace
from cifar_report.analyzer.inputs import Arguments, example, image_index, read_inputs
from cifar_report.analyzer.isolation import random_state, settings, undisturbed
from cifar_report.analyzer.ledger import Exits
from cifar_report.analyzer.tracer import Rung, Tracer
from cifar_report.analyzer.tree import Tree, read_tree


def trace_network(module: nn.Module, inputs: Any, known: Container[str], only: Rung | None = None) -> Trace:
    """Run a network once on a batch of one and record every operator.

    Meta tensors have no values and no device to ask for; what fails for lack of these is tried again on
    real ones, and so is a network that is broken: there it fails with the message that its author knows.

    Args:
        module: any network; neither it nor the process is changed. What it prints goes to stderr.
            One with lazy layers is copied first, since running it settles their shapes.
        inputs: one shape without the batch, such as (3, 32, 32), or what `read_inputs` takes.
        known: names of the operators that should be recorded whole.
        only: what the tensors are, for one of many networks that may well be broken: it fails at the first
            error, in the error's own words.

    Raises:
        ModelError: its forward raises on real tensors too; says where, and what reached it.
    """
    arguments = read_inputs(inputs)
    tree = read_tree(module)
    if any(map(is_lazy, (*tree.parameters, *tree.buffers))):
        tree = read_tree(_materialised(module, arguments))
    printed = StringIO()
    error: BaseException | None = None
    try:
        for rung in (only,) if only else _rungs(tree):
            printed = StringIO()
            tracer = Tracer(tree, known, rung)
            try:
                return _run(tracer, arguments, printed)
            except (Exception, SystemExit) as raised:
                error, call = raised, tracer.calls.blame(raised)
            if isinstance(error, RecursionError):
                break
        assert error is not None
        if only:
            raise ModelError(str(error)) from error
        raise forward_failure(
            tracer, error, call, arguments, lambda other: _runs(tree, other, known)
        ) from error
    finally:
        error = None  # its traceback holds this frame, which holds the trace
        sys.stderr.write(printed.getvalue())


def _rungs(tree: Tree) -> Iterator[Rung]:
    """Yield what the tensors may be, the cheapest first.

    Fake tensors do what meta tensors do, and say that they are on the cpu, which a network may ask for
    (autocast does). Real ones have values too; but a network built on meta has none to compute with, and
    a large one computes for long.
    """
    yield "meta"
    on_meta = any(parameter.is_meta for parameter in tree.parameters)
    if on_meta or sum(p.numel() for p in tree.parameters if not is_lazy(p)) > _LARGE:
        yield "fake"
    if not on_meta:
        yield "real"


_LARGE = 100_000_000
"""Parameters."""


def input_dtype(tree: Tree) -> torch.dtype:
    """Return the dtype that a network computes in: its first floating-point parameter's."""
    dtypes = (p.dtype for p in tree.parameters if p.dtype.is_floating_point)
    return next(dtypes, torch.get_default_dtype())


def _materialised(module: nn.Module, arguments: Arguments) -> nn.Module:
    """Return a copy of a network with lazy layers, whose shapes a real run has settled."""
    # torch copies lazy parameters, but not lazy buffers.
    tree = read_tree(module)
    lazy = [buffer for buffer in tree.buffers if is_lazy(buffer)]
    memo = {id(b): UninitializedBuffer(device=b.device, dtype=b.dtype) for b in lazy}  # type: ignore[call-arg]  # untyped in torch
    module = copy.deepcopy(module, memo).eval()
    args, kwargs, _ = arguments.build(lambda spec: example(spec, input_dtype(tree), torch.device("cpu")))
    with random_state(), settings(), torch.no_grad(), redirect_stdout(StringIO()), suppress(Exception):
        module(*args, **kwargs)  # an error comes again when the copy is traced, and is told then
    return module


def _runs(tree: Tree, arguments: Arguments, known: Container[str]) -> bool:
    """Return whether a network takes other inputs, on meta tensors."""
    try:
        _run(Tracer(tree, known), arguments, StringIO())
    except (Exception, SystemExit):
        return False
    return True


def _run(tracer: Tracer, arguments: Arguments, printed: TextIO) -> Trace:
    trace, ledger = tracer.trace, tracer.ledger
    dtype = input_dtype(trace.tree)
    with undisturbed(trace.tree, printed):
        # Made under inference mode, like everything that the network makes.
        with tracer.stand_ins.fake or nullcontext():
            args, kwargs, tensors = arguments.build(lambda spec: example(spec, dtype, tracer.device))
        trace.inputs = tuple([ledger.new_value(tensor, -1 - i) for i, tensor in enumerate(tensors)])
        trace.image = image_index(arguments.specs())
        if tracer.stand_ins.fake is not None:
            tracer.stand_ins.replace_meta(trace.tree)
        try:
            with (
                tracer.calls.watched(tracer.instead),
                tracer,
                Exits(ledger) if tracer.real else nullcontext(),
            ):
                output = trace.tree.modules[0](*args, **kwargs)
        finally:
            ledger.restore_versions()
        trace.outputs = trace.calls[0].outputs
    if tracer.calls.stray:
        raise thread_failure(tracer.calls.stray)
    if not trace.outputs and not any(isinstance(leaf, Tensor) for leaf in tree_flatten(output)[0]):
        raise ModelError(
            f"the network returned {type(output).__name__}, which holds no tensor",
            expected="forward returns the tensor that it computes, or a tuple or dict with tensors",
            hint="does forward end with a return statement?" if output is None else "",
        )
    return trace
