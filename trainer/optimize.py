"""The optimizer from a run's recipe."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from cifar_report.analyzer.errors import ModelError
from cifar_report.trainer.records import RunConfig

OPTIMIZERS = ("sgd", "adamw")

_NORMS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)


def make_optimizer(module: nn.Module, config: RunConfig) -> torch.optim.Optimizer:
    """Return SGD with Nesterov momentum or AdamW.

    Weights decay, biases and normalisation parameters don't. Both are fused: one operator for all
    parameters instead of several for each.
    """
    decay, keep = parameter_groups(module)
    chosen = config.optimizer
    groups = [
        {"params": decay, "weight_decay": chosen["weight_decay"]},
        {"params": keep, "weight_decay": 0.0},
    ]
    peak = config.schedule["peak"]
    if chosen["name"] == "AdamW":
        betas = (chosen["beta1"], chosen["beta2"])
        return torch.optim.AdamW(groups, lr=peak, betas=betas, eps=chosen["eps"], fused=True)
    return torch.optim.SGD(
        groups, lr=peak, momentum=chosen["momentum"], nesterov=chosen["nesterov"], fused=True
    )


def refuse_untrainable(module: nn.Module) -> None:
    """Raise ModelError where nothing in the network can be trained."""
    if not any(parameter.requires_grad for parameter in module.parameters()):
        raise ModelError("the network has nothing to train", expected="parameters that require gradients")


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
