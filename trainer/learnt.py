"""What a finished run has learnt, for another run to begin with or to learn from."""

from __future__ import annotations

import hashlib
from typing import Any

from torch import nn

from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.trainer.checkpoint import WEIGHTS_FILE
from cifar_report.trainer.extras import load_extra
from cifar_report.trainer.records import DataFacts
from cifar_report.trainer.run import Run


def take_weights(module: nn.Module, run: Run, data: DataFacts, purpose: str) -> str:
    """Put a run's weights into a network and return the SHA-256 of their file.

    Args:
        module: of the run's structure, with any weights.
        run: a finished one.
        data: what is to be learnt. The run was kept from its own test and validation images only, so these
            must be the same.
        purpose: what the run is wanted for, such as `teach`; for messages.

    Raises:
        UsageError: the run isn't finished, has no weights, or may have learnt from images that are to be
            judged on.
        ModelError: the weights don't fit the network.
    """
    path = run.folder / WEIGHTS_FILE
    if run.metrics is None or not path.is_file():
        raise UsageError(
            f"{run.folder} can't {purpose}",
            expected="a finished run with its weights",
            found="an unfinished one" if run.metrics is None else f"no {WEIGHTS_FILE}",
        )
    learnt = run.config.data
    if learnt.test_hash != data.test_hash or learnt.classes != data.classes:
        raise UsageError(
            f"{run.folder} can't {purpose}: tested on other images, it may have seen these in training",
            expected=f"test images with SHA-256 {data.test_hash[:12]}",
            found=f"{learnt.name}, SHA-256 {learnt.test_hash[:12]}",
        )
    if data.validation_count and learnt.validation_count != data.validation_count:
        raise UsageError(
            f"{run.folder} can't {purpose}: it has learnt from images that are held out here",
            expected=f"a run with --val {data.validation_count}, which holds the same images out",
            found=f"--val {learnt.validation_count}",
        )
    content = path.read_bytes()
    try:
        module.load_state_dict(load_extra("safetensors.torch", "train").load(content))
    except RuntimeError as error:
        raise ModelError(
            f"{path} does not fit the network",
            expected=f"weights of {run.config.model}",
            found=str(error).splitlines()[-1].strip(),
        ) from error
    return hashlib.sha256(content).hexdigest()


def begin_with(module: nn.Module, run: Run, data: DataFacts) -> dict[str, Any]:
    """Put a finished run's weights into a network that is to be trained further.

    Returns:
        What the new run writes down, `RunConfig.start`; its `epochs` count those of all runs before.

    Raises:
        UsageError, ModelError: as `take_weights` does.
    """
    return {
        "run": str(run.folder),
        "weights": take_weights(module, run, data, "be begun with"),
        "epochs": run.config.epochs_before + run.config.epochs,
    }
