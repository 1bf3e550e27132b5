from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cifar_report.analyzer.assemble import analyze
from cifar_report.analyzer.errors import ModelError
from cifar_report.reporter.effective_field import measure_effective_field
from tests.reporter.effective_fields import SIZE, measured, positive


class Busy(nn.Module):
    """Changes what it can in a forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.register_buffer("calls", torch.zeros(()))
        self.cache: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        self.cache.append(x)
        self.last = torch.rand(1) + random.random() + np.random.rand()
        print("hello")
        return self.norm(self.conv(x)).mean((2, 3))


@contextmanager
def unchanged(module: nn.Module) -> Iterator[None]:
    def state() -> dict[str, object]:
        return {
            "tensors": {
                name: (t.data_ptr(), t._version, t.clone()) for name, t in module.state_dict().items()
            },
            "gradients": [p.grad for p in module.parameters()],
            "requires": [p.requires_grad for p in module.parameters()],
            "modes": [m.training for m in module.modules()],
            "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in module.modules()],
            "attributes": [sorted(m.__dict__) for m in module.modules()],
            "torch": torch.get_rng_state(),
            "python": random.getstate(),
            "numpy": np.random.get_state()[1],
            "dtype": torch.get_default_dtype(),
            "grad": torch.is_grad_enabled(),
            "stdout": sys.stdout,
        }

    before = state()
    yield
    for name, value in state().items():
        assert torch.utils._pytree.tree_all(
            lambda same: bool(same), torch.utils._pytree.tree_map(_equal, value, before[name])
        ), name


def _equal(one: object, other: object) -> bool:
    if isinstance(one, Tensor | np.ndarray):
        return bool((one == other).all())
    return one == other


def test_the_network_and_the_process_stay_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    network = Busy()
    network.conv.weight.requires_grad_(False)
    network.train()
    analysis = analyze(network, SIZE)
    with unchanged(network), torch.no_grad():
        measure_effective_field(network, analysis, count=2)
    assert network.cache == []
    assert capsys.readouterr().out == ""


def test_a_network_that_fails_stays_as_it_was() -> None:
    class Fails(Busy):
        def forward(self, x: Tensor) -> Tensor:
            result = super().forward(x)
            if not x.is_meta and x.std() > 0.5:
                raise RuntimeError("too bright\nsecond line")
            return result

    network = Fails()
    analysis = analyze(network, SIZE)
    with unchanged(network), pytest.raises(ModelError, match="fails on an image") as caught:
        measure_effective_field(network, analysis)
    assert caught.value.found == "RuntimeError: too bright"


def test_a_network_in_training_mode_is_measured_in_eval_mode() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 5), nn.Dropout(0.9), nn.Conv2d(4, 4, 5))
    analysis = analyze(network, SIZE)
    fields = [measure_effective_field(network.train(mode), analysis, count=1) for mode in (True, False)]
    assert (fields[0].gradient == fields[1].gradient).all()


def test_the_same_seed_gives_the_same_field() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU())
    analysis = analyze(network, SIZE)
    one, other, third = (measure_effective_field(network, analysis, count=1, seed=seed) for seed in (1, 1, 2))
    assert (one.gradient == other.gradient).all()
    assert (one.gradient != third.gradient).any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_networks_of_other_precisions_are_measured_in_float32(dtype: torch.dtype) -> None:
    network = positive(nn.Conv2d(3, 4, 3)).to(dtype)
    field = measured(network)
    assert (field.gradient > 0).sum() == 9
    assert network.weight.dtype == dtype


def test_inside_inference_mode_it_works_too() -> None:
    network = positive(nn.Conv2d(3, 4, 3))
    analysis = analyze(network, SIZE)
    with torch.inference_mode():
        assert (measure_effective_field(network, analysis).gradient > 0).sum() == 9
