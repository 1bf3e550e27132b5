"""The exponential moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from cifar_report.analyzer.errors import ModelError


def make_average(module: nn.Module, decay: float) -> AveragedModel:
    """Return a copy of a module that follows it, buffers included.

    The decay of step n is at most (1 + n) / (10 + n), so that the first weights are soon forgotten;
    source: `tf.train.ExponentialMovingAverage` of TensorFlow.

    Raises:
        ModelError: the module can't be copied.
    """
    try:
        return AveragedModel(module, multi_avg_fn=_follow(decay), use_buffers=True)
    # A copy runs the network's own code and may raise anything.
    except Exception as error:
        raise ModelError(
            "the network's weights can't be averaged",
            expected="a module that copy.deepcopy can copy",
            found=f"{type(error).__name__}: {error}",
            hint="leave out --average",
        ) from error


Averages = tuple[torch.Tensor, ...] | list[torch.Tensor]


def _follow(decay: float) -> Callable[[Averages, Averages, torch.Tensor | int], None]:
    def update(averages: Averages, values: Averages, count: torch.Tensor | int) -> None:
        steps = int(count)
        share = 1 - min(decay, (1 + steps) / (10 + steps))
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, values, share)
        else:
            torch._foreach_copy_(averages, values)

    with_no_grad: Callable[[Averages, Averages, torch.Tensor | int], None] = torch.no_grad()(update)
    return with_no_grad
