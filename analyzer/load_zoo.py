"""Networks of torchvision and timm by name, never with downloaded weights: these change no analysis."""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from cifar_report.analyzer.errors import ModelError, UsageError, did_you_mean
from cifar_report.analyzer.load_build import build
from cifar_report.analyzer.load_failure import import_failure
from cifar_report.analyzer.load_hollow import hollow, quiet
from cifar_report.analyzer.load_spec import Call, Spec

_DOWNLOADS = {"weights": None, "weights_backbone": None, "pretrained": False, "pretrained_backbone": False}
"""Arguments that fetch weights, and how each is told not to."""


def build_zoo(spec: Spec, *, values: bool) -> nn.Module:
    """Return the network of a collection that a name such as `torchvision:resnet18(num_classes=10)` means.

    Args:
        spec: of kind `torchvision` or `timm`.
        values: allocate and initialise its weights; without, they are on meta wherever its constructor lets
            them.

    Raises:
        UsageError: the library isn't installed, or has no such network.
        ModelError: its constructor doesn't take the arguments, or they ask for downloaded weights.
    """
    assert spec.call is not None
    refuse_downloads(spec.call, spec.target)
    library = _library(spec)
    find = _torchvision if spec.kind == "torchvision" else _timm
    builder = find(library, spec.call.name)
    call = replace(spec.call, kwargs={**_no_downloads(builder), **spec.call.kwargs})

    def built() -> nn.Module:
        return build(builder, call, spec.target, Path.cwd())

    return quiet(built) if values else hollow(built)


def refuse_downloads(call: Call, target: str) -> None:
    """Raise an error for arguments that ask a collection for trained weights."""
    asked = [f"{name}={call.kwargs[name]!r}" for name in _DOWNLOADS if call.kwargs.get(name)]
    if asked:
        raise ModelError(
            f"{target}:{call.name} is built without trained weights, so {', '.join(asked)} can't be given",
            hint="leave it out; a file of weights is given with --weights FILE",
        )


def _library(spec: Spec) -> ModuleType:
    """Import torchvision or timm."""
    try:
        return importlib.import_module(spec.kind)
    except ModuleNotFoundError as error:
        if error.name != spec.kind:
            raise import_failure(error, spec.kind, Path.cwd()) from error
        raise UsageError(
            f"{spec.text} needs {spec.kind}, which is not installed", hint=f"pip install {spec.kind}"
        ) from None
    except Exception as error:  # a library that doesn't fit the installed torch may raise anything
        raise import_failure(error, spec.kind, Path.cwd()) from error


def _torchvision(torchvision: ModuleType, name: str) -> Callable[..., Any]:
    """Return a builder, by its own name, as in `segmentation.fcn_resnet50`, or by its registered one."""
    builders, models = {}, torchvision.models
    for registered in models.list_models():
        builder = models.get_model_builder(registered)
        room = builder.__module__.removeprefix("torchvision.models").split(".")[1]
        inside = hasattr(getattr(models, room), "__path__")
        builders[registered] = builders[f"{room}.{builder.__name__}" if inside else registered] = builder
    if name not in builders:
        raise _unknown("torchvision", name, builders)
    found: Callable[..., Any] = builders[name]
    return found


def _timm(timm: ModuleType, name: str) -> Callable[..., Any]:
    """Return what builds an architecture, with or without the tag of a training, as in `resnet18.a1_in1k`."""
    if not timm.is_model(name):
        raise _unknown("timm", name, timm.list_models())
    return functools.partial(timm.create_model, name, pretrained=False)


def _unknown(collection: str, name: str, names: Iterable[str]) -> UsageError:
    """Return the message for a name that a collection doesn't have."""
    near = get_close_matches(name, list(names), n=3, cutoff=0.5)
    hint = did_you_mean([f"{collection}:{match}" for match in near])
    return UsageError(f"{collection} has no network {name!r}", hint=hint)


def _no_downloads(builder: Callable[..., Any]) -> dict[str, Any]:
    """Return the arguments that keep a builder from downloading weights by default."""
    takes = inspect.signature(builder).parameters
    return {name: value for name, value in _DOWNLOADS.items() if name in takes}
