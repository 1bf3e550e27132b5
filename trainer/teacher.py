"""A trained network that another one learns from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.trainer.checkpoint import WEIGHTS_FILE
from cifar_report.trainer.extras import load_extra
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
        data: what is to be learnt. The teacher was kept from its own test images, so these must be the same.
        weight: of the teacher in the objective, 0..1; the rest is that of the labels.
        temperature: what scores are divided by.

    Raises:
        UsageError: the run isn't finished, has no weights, or was tested on other images.
        ModelError: the weights don't fit the network.
    """
    path = run.folder / WEIGHTS_FILE
    if run.metrics is None or not path.is_file():
        raise UsageError(
            f"{run.folder} can't teach", expected="a finished run with its weights", found="an unfinished one"
        )
    if run.config.data.test_hash != data.test_hash or run.config.data.classes != data.classes:
        raise UsageError(
            f"{run.folder} can't teach: it was tested on other images, so it may have seen these in training",
            expected=f"test images with SHA-256 {data.test_hash[:12]}",
            found=f"{run.config.data.name}, SHA-256 {run.config.data.test_hash[:12]}",
        )
    content = path.read_bytes()
    try:
        module.load_state_dict(load_extra("safetensors.torch", "train").load(content))
    except RuntimeError as error:
        raise ModelError(
            f"{path} does not fit {run.config.model}", found=str(error).splitlines()[-1].strip()
        ) from error
    record = {
        "run": str(run.folder),
        "model": run.config.model,
        "weights": hashlib.sha256(content).hexdigest(),
        "weight": weight,
        "temperature": temperature,
    }
    return Teacher(module, run.config, record)
