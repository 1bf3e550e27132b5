"""A network to load, and what came of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cifar_report.analyzer.errors import ModelError, Problem
from cifar_report.analyzer.load import LoadedModel, load_model

Write = Callable[..., str]

NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes=10, bias=True):
        super().__init__()
        self.fc = nn.Linear(4, num_classes, bias=bias)
    def forward(self, x):
        return self.fc(x)
"""


def refused(spec: str, kind: type[Problem] = ModelError, *, values: bool = True) -> str:
    """Return what is said of a name that nothing can be loaded by."""
    with pytest.raises(kind) as caught:
        load_model(spec, values=values)
    assert type(caught.value) is kind
    return str(caught.value)


def params(loaded: LoadedModel) -> int:
    return sum(p.numel() for p in loaded.module.parameters())
