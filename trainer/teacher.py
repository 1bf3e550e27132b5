"""A trained network that another one learns from."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from cifar_report.trainer.learnt import take_weights
from cifar_report.trainer.network import Network
from cifar_report.trainer.records import DataFacts, RunConfig
from cifar_report.trainer.run import Run


@dataclass(frozen=True, slots=True, eq=False)
class Teacher:
    """A network with a finished run's weights."""

    module: nn.Module
    config: RunConfig
    """Of the run that it was trained in."""
    record: dict[str, Any]
    """What a run that learns from it writes down; `RunConfig.teacher`."""

    def network(self, device: str) -> Network:
        """Return it ready to be asked, in eval mode and float32."""
        return Network(self.module.eval().requires_grad_(False), replace(self.config, device=device))


def make_teacher(module: nn.Module, run: Run, data: DataFacts, weight: float, temperature: float) -> Teacher:
    """Put a run's weights into its network.

    Args:
        module: of `run.config.model`, with any weights.
        run: a finished one.
        data: what is to be learnt.
        weight: of the teacher in the objective, 0..1; the rest is that of the labels.
        temperature: what scores are divided by.

    Raises:
        UsageError, ModelError: as `take_weights` does.
    """
    record = {
        "run": str(run.folder),
        "model": run.config.model,
        "weights": take_weights(module, run, data, "teach"),
        "weight": weight,
        "temperature": temperature,
    }
    return Teacher(module, run.config, record)
