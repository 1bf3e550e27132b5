"""Three convolutions, called in ways that other tools trip over."""

from __future__ import annotations

import copy
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tests.analyzer.odd_modules import forward


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


@forward("real")
def its_own_subclass_of_tensor(self: Any, x: Tensor) -> Tensor:
    class Image(Tensor):
        pass

    return self.a(x.as_subclass(Image))


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
