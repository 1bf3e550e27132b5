"""A sanity check before a long training: can the network learn one batch by heart?"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.nn import functional

from cifar_report.analyzer.errors import ModelError
from cifar_report.trainer.images import ImageData, facts
from cifar_report.trainer.network import Network
from cifar_report.trainer.optimize import make_optimizer, refuse_untrainable
from cifar_report.trainer.options import Options, make_config
from cifar_report.trainer.trial import try_out

STEPS = 300
"""Most steps that a network gets."""


@dataclass(frozen=True, slots=True)
class Overfit:
    """How one batch was learnt."""

    images: int
    steps: int
    first_loss: float
    last_loss: float


def overfit_batch(module: nn.Module, data: ImageData, options: Options) -> Overfit:
    """Train on one batch, neither augmented nor smoothed, at a constant rate, until all of it is right.

    Dropout is off, as it would hide what has been learnt. The module's weights change.

    Raises:
        ModelError: after `STEPS` steps an image is still wrong, the loss is not finite, or the network fails.
    """
    config = make_config(replace(options, schedule="constant", warm_up=0.0), facts(data))
    refuse_untrainable(module)
    network = Network(module, config)
    count = min(options.batch_size, len(data.train.labels))
    order = torch.randperm(len(data.train.labels), generator=torch.Generator().manual_seed(options.seed))
    chosen = order[:count].numpy()
    images = torch.from_numpy(data.train.images[chosen])
    labels = torch.from_numpy(data.train.labels[chosen])
    try_out(network, images[:8], labels[:8])
    torch.manual_seed(options.seed)
    return _learn(network, make_optimizer(module, config), images, labels.to(network.device))


def _learn(
    network: Network, optimizer: torch.optim.Optimizer, images: torch.Tensor, labels: torch.Tensor
) -> Overfit:
    network.module.train()
    for layer in network.module.modules():
        if isinstance(layer, nn.modules.dropout._DropoutNd):
            layer.eval()
    losses: list[float] = []
    wrong = len(labels)
    for _ in range(STEPS):
        scores = network.scores(images, training=True)
        loss = functional.cross_entropy(scores, labels)
        losses.append(loss.item())
        wrong = int((scores.argmax(dim=1) != labels).sum())
        if not wrong or not torch.isfinite(loss):
            break
        optimizer.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        optimizer.step()
    if wrong:
        raise ModelError(
            f"the network can't learn a single batch of {len(labels)} images by heart",
            expected=f"all of them right within {STEPS} steps",
            found=f"{wrong} wrong after {len(losses)} steps, loss {losses[0]:.4f}, then {losses[-1]:.4f}",
            hint="another --lr; else look for a layer that nothing comes through, or labels that don't fit",
        )
    return Overfit(len(labels), len(losses) - 1, losses[0], losses[-1])
