"""What a file of weights says about itself, so that it can be judged without its run's folder.

It stands in the header of the safetensors file: which network, which classes in which order, and how its
images were normalised. Without these three the figure of an evaluation means nothing.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.records import RunConfig

_KEY = "cifar-report"


@dataclass(frozen=True, slots=True)
class Passport:
    """How to use weights."""

    model: str
    """The network, as the run was given it."""
    data: str
    """The data set that it was trained on."""
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    """Subtracted from the images' levels in 0..1, per channel."""
    std: tuple[float, ...]
    """What they are then divided by."""
    epochs: int
    """In all: those of a run that its own began with are counted."""

    @classmethod
    def of(cls, config: RunConfig) -> Passport:
        """Return that of a run's weights."""
        data = config.data
        return cls(
            config.model,
            data.name,
            data.classes,
            tuple(config.mean),
            tuple(config.std),
            config.epochs_before + config.epochs,
        )

    def header(self) -> dict[str, str]:
        """Return it as a safetensors file's metadata: one key, as several are written in random order."""
        return {_KEY: json.dumps(asdict(self), ensure_ascii=False)}


def read_passport(path: Path) -> Passport | None:
    """Return what a file of weights says about itself; None for one from elsewhere.

    Raises:
        UsageError: it says something in a form that this version doesn't know.
    """
    with path.open("rb") as file:
        if file.read(9)[8:] != b"{":
            return None  # of PyTorch's own format, which has no header
    with importlib.import_module("safetensors").safe_open(path, framework="pt") as opened:
        said = (opened.metadata() or {}).get(_KEY)
    return None if said is None else _parsed(said, path)


def _parsed(said: str, path: Path) -> Passport:
    try:
        content: Mapping[str, Any] = json.loads(said)
        lists = {name: tuple(content[name]) for name in ("classes", "mean", "std")}
        return Passport(**{**content, **lists})
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(
            f"{path} says about itself what can't be read",
            expected=f"a header {_KEY!r} with {', '.join(Passport.__slots__)}",
            found=f"{type(error).__name__}: {error}",
            hint="a newer version of cifar-report may have written it",
        ) from error
