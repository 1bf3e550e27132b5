"""Networks of torchvision with made-up weights, without the minutes that their initialisation takes."""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torchvision
from torch import Tensor, nn

NAMES: tuple[str, ...] = tuple(torchvision.models.list_models(module=torchvision.models))
"""All classification networks."""


def image_shape(name: str) -> tuple[int, int, int]:
    """Return the input that a network was made for."""
    side = 299 if name == "inception_v3" else 224
    return (3, side, side)


def build(name: str) -> nn.Module:
    """Return a network in eval mode; its activations neither vanish nor explode, which costs time too."""
    builder = torchvision.models.get_model_builder(name)
    own = {"weights_backbone": None} if "weights_backbone" in inspect.signature(builder).parameters else {}
    with _no_initialisation(), warnings.catch_warnings(action="ignore"):
        network: nn.Module = builder(**own)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for path, parameter in network.named_parameters():
            if parameter.ndim > 1:
                bound = math.sqrt(3 / max(parameter.numel() // parameter.shape[0], 1))
                parameter.uniform_(-bound, bound, generator=generator)
            else:
                parameter.fill_(float(path.endswith("weight")))
    return network.eval()


@contextmanager
def _no_initialisation() -> Iterator[None]:
    """Turn `torch.nn.init`'s functions into ones that leave tensors as they are."""
    functions = {
        name: value for name, value in vars(nn.init).items() if name.endswith("_") and callable(value)
    }
    try:
        for name in functions:
            setattr(nn.init, name, _as_it_is)
        yield
    finally:
        for name, function in functions.items():
            setattr(nn.init, name, function)


def _as_it_is(tensor: Tensor, *_: Any, **__: Any) -> Tensor:
    return tensor
