"""Watch one forward pass, operator by operator.

A `TorchDispatchMode` under inference mode sees each operator as the network called it (`conv2d`,
`batch_norm`, `scaled_dot_product_attention`) instead of its pieces, and decides:

* nothing in it depends on the network's input: it runs for real (index tables, weight norms);
* `shapes.RULES` knows it: no kernel is called at all;
* it is a view: its kernel runs, at no cost, on whatever the tensor is;
* the passes know it, or nothing smaller exists: the kernel runs, on meta tensors;
* otherwise it is taken apart, and its pieces come by here in turn.

The caller's parameters are only looked at, never swapped or moved: see `stand_ins`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any, Literal

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

from cifar_report.analyzer import shapes_rearranged, shapes_sampled  # noqa: F401 - they register rules
from cifar_report.analyzer.calls import Calls
from cifar_report.analyzer.graph import ModuleCall, Node, Trace, Value
from cifar_report.analyzer.layers import LAYERS, read_layer
from cifar_report.analyzer.ledger import Ledger
from cifar_report.analyzer.operators import (
    HOLD_PRODUCTS,
    LIKE,
    NOTHING_IN_EVAL,
    PRODUCTS,
    Op,
    describe_op,
)
from cifar_report.analyzer.quantized import PREFIX as QUANTIZED
from cifar_report.analyzer.quantized import plain
from cifar_report.analyzer.shapes import RULES as SHAPE_RULES
from cifar_report.analyzer.stand_ins import StandIns
from cifar_report.analyzer.tree import Tree

META = torch.device("meta")

_dispatch_modes, _function_modes = torch._C._len_torch_dispatch_stack, torch._C._len_torch_function_stack
_exclude, _MODES = torch._C._dispatch_tls_set_dispatch_key_excluded, torch._C.DispatchKey.Python
_SETTINGS = frozenset({int, float, bool, str, tuple, type(None)})
"""What most arguments are that hold no tensors."""

Rung = Literal["meta", "fake", "real"]

Effect = Literal["new", "write", "same"]
"""An operator makes a tensor (or a view), writes to its first one, or hands that on."""


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]  # untyped in torch
    """Records nodes and module calls while it is entered.

    Args:
        tree: the network's modules.
        known: names of operators that the passes have rules for; others are taken apart.
        rung: `meta`: tensors without values, on a device of their own; `fake`: without values, but they
            say that they are on the cpu; `real`. Beyond meta, every operator's kernel runs.
    """

    def __init__(self, tree: Tree, known: Container[str], rung: Rung = "meta") -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in torch
        self.known = known
        self.real = rung == "real"
        self.shapes = SHAPE_RULES if rung == "meta" else {}
        self.device = META
        if rung != "meta":
            devices = (p.device for p in tree.parameters if not p.is_meta)
            self.device = next(devices, torch.device("cpu"))
        fake = FakeTensorMode(allow_non_fake_inputs=True) if rung == "fake" else None
        self.trace = Trace(rung=rung, tree=tree)
        self.stack: list[ModuleCall] = []
        self.ledger = Ledger(self.trace, self.stack, real=self.real)
        self.calls = Calls(self.trace, self.stack, self.ledger)
        self.stand_ins = StandIns(self.ledger, self.device, fake)
        self.blanks: dict[tuple[tuple[int, ...], torch.dtype], Tensor] = {}

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Tell torch not to wrap `__torch_dispatch__`: that imports the compiler, which takes a second."""
        return False

    def read(self, arguments: Iterable[Any], inputs: list[Value]) -> list[Any]:
        """Return an operator's arguments with values in place of tensors, and note these values."""
        value_of = self.ledger.value_of
        symbols: list[Any] = []
        for argument in arguments:
            if type(argument) in _SETTINGS:
                symbols.append(argument)
            elif isinstance(argument, Tensor):
                value = value_of(argument)
                inputs.append(value)
                symbols.append(value)
            elif type(argument) is list and argument and not isinstance(argument[0], int | float):
                values = self.ledger.values_of(argument)
                if values is None:
                    values = self.read(argument, inputs)
                else:
                    inputs += values
                symbols.append(values)
            else:
                symbols.append(argument)
        return symbols

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Record one operator and return tensors for its outputs."""
        kwargs = kwargs or {}
        if self.calls.elsewhere():
            return func(*args, **kwargs)
        op = describe_op(func)
        inputs: list[Value] = []
        symbols = tuple(self.read(args, inputs))
        named = dict(zip(kwargs, self.read(kwargs.values(), inputs), strict=True)) if kwargs else {}
        for live in inputs:
            if live.constant is None:
                break
        else:
            return self.run_constant(func, op, symbols, args, kwargs)
        if op.name in LIKE and inputs[0].constant is not None and isinstance(args[1], Tensor):
            with self:
                return LIKE[op.name](args[0], args[1])
        node = Node(len(self.trace.nodes), op.name, symbols, named, (), self.stack[-1].index, inputs)
        rule = self.shapes.get(op.name)
        shape = rule(symbols, named) if rule else None
        if shape is not None:
            return self.record_shape(node, op, shape, live.dtype, args)
        if op.view and op.name in self.known and op.name != "to" and isinstance(args[0], Tensor):
            result = func(*args, **kwargs)
            self.record(node, op, [result] if isinstance(result, Tensor) else list(result))
            return result
        if func is torch.ops.prim.device.default:
            return self.device  # only fake tensors ask this way
        if op.name not in self.known and func._can_decompose():
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        return self.record_kernel(func, op, node, args, kwargs)

    def instead(self, call: ModuleCall, x: Any) -> Tensor | None:
        """Record the one operator of a layer of torch's own without running it, or return None.

        Whatever else may watch the layer run, a mode of the network's author say, has to see it run.
        """
        known = LAYERS.get(type(call.module)) if type(x) is Tensor and self.shapes else None
        if known is None or _dispatch_modes() != 1 or _function_modes():
            return None
        value = getattr(x, "_traced_value", None)
        layer = None if value is None else read_layer(call.module, known, len(value.shape))
        if layer is None:
            return None
        op, arguments = layer
        inputs: list[Value] = []
        symbols = tuple(self.read((x, *arguments), inputs))
        shape = self.shapes[op.name](symbols, {})
        if shape is None:
            return None
        node = Node(len(self.trace.nodes), op.name, symbols, {}, (), call.index, inputs)
        _exclude(_MODES, True)  # as torch's context manager does, in a tenth of the time
        try:
            output = self.record_shape(node, op, shape, inputs[0].dtype, (x, *arguments))
        finally:
            _exclude(_MODES, False)
        call.inputs, call.outputs = (inputs[0],), node.outputs
        return output

    def run_constant(
        self, func: Any, op: Op, symbols: tuple[Any, ...], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run an operator that doesn't depend on the input; the caller's tensors are only read."""
        ledger = self.ledger
        args, kwargs = self.stand_ins.with_copies(func, op, args, kwargs)
        if kwargs.get("device") == META:
            # Asked for beside the network's input; made for real, an index table keeps its values.
            kwargs = {**kwargs, "device": torch.device("cpu")}
        if ledger.may_be_meta:
            args, kwargs = self.stand_ins.on_one_device(args, kwargs)
        if op.name in HOLD_PRODUCTS:
            with self:
                return func.decompose(*args, **kwargs)
        result = func(*args, **kwargs)
        tensors = [result] if isinstance(result, Tensor) else tree_flatten(result)[0]
        fresh = [t for t in tensors if isinstance(t, Tensor) and id(t) not in ledger.constants]
        if op.view and isinstance(symbols[0], Value):
            views = [ledger.new_constant(tensor, symbols[0].root) for tensor in fresh]
            ledger.aliases.add_view(symbols[0], op.name, symbols, views)
            return result
        for tensor in fresh:
            if tensor.layout == torch.strided:
                ledger.made.add(tensor.untyped_storage()._cdata)
        if op.name in PRODUCTS:
            # It costs multiplications each time, whatever it depends on.
            index = len(self.trace.nodes)
            outputs = tuple([ledger.new_constant(tensor, producer=index) for tensor in fresh])
            self.trace.nodes.append(Node(index, op.name, symbols, {}, outputs, self.stack[-1].index))
            return result
        for tensor in fresh:
            ledger.new_constant(tensor)
        return result

    def record_shape(
        self, node: Node, op: Op, shape: tuple[int, ...], dtype: torch.dtype, args: tuple[Any, ...]
    ) -> Tensor:
        """Record an operator whose output shape is known without running it."""
        target: Tensor = args[0]
        handed_on = target.is_contiguous() if op.name == "contiguous" else op.name in NOTHING_IN_EVAL
        if handed_on and args[2:3] != (True,):  # dropout that trains
            self.record(node, op, [target], "same")
        elif op.inplace:
            self.ledger.about_to_write(target, copy=False)
            self.record(node, op, [target], "write")
        else:
            target = self.blank(shape, dtype)
            self.record(node, op, [target], shape=shape)
        return target

    def blank(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return a tensor on meta for what an operator makes that isn't run.

        Those of one shape share their memory, of which they have none: to make each anew takes four times
        as long. Outside of inference mode they would share a count of writes too.
        """
        if not torch.is_inference_mode_enabled():
            return torch.empty(shape, dtype=dtype, device=META)
        first = self.blanks.get((shape, dtype))
        if first is None:
            first = self.blanks[shape, dtype] = torch.empty(shape, dtype=dtype, device=META)
        return first.detach()

    def record_kernel(
        self, func: Any, op: Op, node: Node, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Run an operator's kernel and record what came out."""
        if op.name.startswith(QUANTIZED):
            node = plain(node, self.ledger.new_constant)
        target = args[0] if op.mutable and args and isinstance(args[0], Tensor) else None
        if self.real:
            args, kwargs = self.stand_ins.with_copies(func, op, args, kwargs)
        else:
            if target is not None:
                self.ledger.about_to_write(target, copy=False)
            args, kwargs = tree_map_only(Tensor, self.stand_ins.twin, (args, kwargs))
            args, kwargs = tree_map_only(torch.device, lambda _: self.device, (args, kwargs))
        result = func(*args, **kwargs)
        effect: Effect = "new" if target is None else "write"
        if target is None and args and result is args[0]:
            effect = "same"  # it was of that dtype, or contiguous, already
        if target is not None and isinstance(result, Tensor):
            result = target
        tensors = [tensor for tensor in tree_flatten(result)[0] if isinstance(tensor, Tensor)]
        if tensors:  # else it only looked: at a value, at an equality
            self.record(node, op, tensors, effect)
        return result

    def record(
        self,
        node: Node,
        op: Op,
        tensors: list[Tensor],
        effect: Effect = "new",
        shape: tuple[int, ...] | None = None,
    ) -> None:
        """Add a node, and give its output tensors their values; `shape` is the only one's, where known."""
        ledger, source = self.ledger, node.args[0] if node.args else None
        node.index = index = len(self.trace.nodes)
        self.trace.nodes.append(node)
        if not isinstance(source, Value) or (effect == "new" and not op.view):
            node.outputs = tuple([ledger.new_value(tensor, index, shape=shape) for tensor in tensors])
            return
        node.outputs = tuple([ledger.new_value(tensor, index, source.root) for tensor in tensors])
        if effect == "write":
            ledger.aliases.add_write(source, node.outputs[0])
        elif effect == "same":
            ledger.aliases.add_same(source, node.outputs[0])
        else:
            ledger.aliases.add_view(source, op.name, node.args, node.outputs)
