"""The optimizer and its learning rate, from a run's recipe."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from cifar_report.analyzer.errors import ModelError
from cifar_report.trainer.records import RunConfig

WARM_UP = 0.3
"""Share of the steps in which the learning rate rises."""
START = 1 / 25
"""First learning rate, as a share of the peak."""
END = START / 1e4
"""Last learning rate, as a share of the peak."""

_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def one_cycle(step: int, steps: int, peak: float) -> float:
    """Return the learning rate of a step, counted from 0: up to `peak` and down, both along cosines.

    Source: Smith and Topin, "Super-Convergence", 2017 (arXiv 1708.07120), in the two-phase form
    with the shares of `torch.optim.lr_scheduler.OneCycleLR`.
    """
    top = WARM_UP * steps - 1
    if step <= top:
        return peak * _cosine(START, 1.0, step / top)
    return peak * _cosine(1.0, END, (step - max(top, 0)) / max(steps - 1 - max(top, 0), 1))


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def make_optimizer(module: nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    """Return SGD with Nesterov momentum; weights decay, biases and normalisation parameters don't.

    Raises:
        ModelError: nothing in the network can be trained.
    """
    decay, keep = parameter_groups(module)
    if not decay and not keep:
        raise ModelError("the network has nothing to train", expected="parameters that require gradients")
    return torch.optim.SGD(
        [
            {"params": decay, "weight_decay": config.optimizer["weight_decay"]},
            {"params": keep, "weight_decay": 0.0},
        ],
        lr=config.schedule["peak"],
        momentum=config.optimizer["momentum"],
        nesterov=config.optimizer["nesterov"],
    )


def parameter_groups(module: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the trainable parameters that decay, and those that don't, each parameter once."""
    norms = {
        id(parameter)
        for child in module.modules()
        if isinstance(child, _NORMS)
        for parameter in child.parameters(recurse=False)
    }
    trainable = [parameter for parameter in module.parameters() if parameter.requires_grad]
    decay = [p for p in trainable if p.ndim > 1 and id(p) not in norms]
    chosen = {id(parameter) for parameter in decay}
    return decay, [p for p in trainable if id(p) not in chosen]
