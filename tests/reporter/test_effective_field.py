from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.assemble import analyze
from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.reporter import theme
from cifar_report.reporter.effective_field import EffectiveField, measure_effective_field
from cifar_report.reporter.field_pictures_effective import describe_effective, draw_effective, heat
from cifar_report.reporter.field_pictures_geometry import unit_box

SIZE = (3, 33, 47)


def positive(module: nn.Module) -> nn.Module:
    """Set all weights of each layer to the same positive value, so that no gradient cancels another."""
    for parameter in module.parameters():
        nn.init.constant_(parameter, 1 / parameter[0].numel())
    return module


def measured(module: nn.Module, size: tuple[int, ...] = SIZE, count: int = 2) -> EffectiveField:
    return measure_effective_field(module, analyze(module, size), count=count)


def theoretical_pixels(field: EffectiveField) -> np.ndarray:
    """Return which pixels lie in the theoretical box, counted from the definition of its centre and size."""
    box = unit_box(field.theoretical, field.map_size, field.gradient.shape)
    rows, columns = (np.arange(length) for length in field.gradient.shape)
    inside = (rows > box.top) & (rows < box.bottom)
    across = (columns > box.left) & (columns < box.right)
    return inside[:, None] & across[None, :]


LINEAR = {
    "convolutions": nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, (5, 1), padding=(2, 0)), nn.Conv2d(4, 2, 3)
    ),
    "strides and pools": nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.AvgPool2d(2), nn.Conv2d(4, 4, (1, 3), padding=(0, 1))
    ),
    "dilation 1, 2 and 3": nn.Sequential(*[nn.Conv2d(3, 3, 3, dilation=d, padding=d) for d in (1, 2, 3)]),
    "with global pooling": nn.Sequential(
        nn.Conv2d(3, 4, 5), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    ),
}


@pytest.mark.parametrize("network", LINEAR.values(), ids=LINEAR)
def test_with_positive_weights_it_fills_the_theoretical_field(network: nn.Module) -> None:
    field = measured(positive(network))
    assert ((field.gradient > 0) == theoretical_pixels(field)).all()
    assert field.gradient.sum() == pytest.approx(1)


@pytest.mark.parametrize("seed", range(3))
def test_with_any_weights_nothing_lies_outside_of_the_theoretical_field(seed: int) -> None:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.GELU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, (3, 1)),
        nn.Sigmoid(), nn.AdaptiveAvgPool2d(1),
    )  # fmt: skip
    field = measured(network)
    assert field.gradient[~theoretical_pixels(field)].max() == 0
    assert field.gradient[theoretical_pixels(field)].max() > 0


def test_it_is_the_gradient_of_the_map_that_enters_the_pooling() -> None:
    """The same by hand: run the layers before the pooling, and differentiate their middle unit."""
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2, padding=1)
    )
    network = nn.Sequential(body, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2))
    images = torch.randn(3, 3, 33, 33)
    field = measure_effective_field(network, analyze(network, (3, 33, 33)), images)
    assert field.map_size == (9, 9)
    assert field.unit == (4, 4)
    total = torch.zeros(33, 33)
    for image in images:
        leaf = image[None].clone().requires_grad_()
        torch.relu(body(leaf))[0, :, 4, 4].sum().backward()
        assert leaf.grad is not None
        total += leaf.grad[0].abs().sum(0)
    assert np.allclose(field.gradient, (total / total.sum()).numpy(), atol=1e-6)


def test_the_map_may_be_made_by_a_function_and_the_pooling_be_a_mean() -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.other = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 7, padding=3)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu_(self.one(x) + self.other(x)).mean((2, 3))

    field = measured(positive(Sum()), count=8)
    assert field.theoretical.size == (7, 7)
    assert ((field.gradient > 0) == theoretical_pixels(field)).all()


def test_without_pooling_it_is_the_output_even_if_another_tensor_has_its_shape() -> None:
    class WithAuxiliary(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.main, self.auxiliary = nn.Conv2d(3, 2, 5, padding=2), nn.Conv2d(3, 2, 3, padding=1)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"out": self.main(x), "aux": self.auxiliary(x)}

    field = measured(positive(WithAuxiliary()))
    assert (field.gradient > 0).sum() == 25


def test_the_extent_is_that_of_the_range_around_the_centre_with_the_share() -> None:
    field = measured(positive(nn.Conv2d(3, 1, (5, 7), padding=(2, 3))))
    assert field.extent(1.0) == (5, 7)
    assert field.extent(0.6) == (3, 5)
    assert field.extent(0.1) == (1, 1)
    assert field.extent(0.2) == (1, 3)


def test_an_effective_field_is_smaller_than_the_theoretical_one() -> None:
    """Of n equal convolutions the gradient is a Gaussian whose width grows with the root of n (section 2)."""
    extents = {}
    for layers in (4, 16):
        network = positive(nn.Sequential(*[nn.Conv2d(1, 1, 3, padding=1, bias=False) for _ in range(layers)]))
        field = measured(network, (1, 63, 63), count=1)
        # The sum of n uniform steps of -1, 0 and 1 has the variance n * 2 / 3.
        deviation = np.sqrt(layers * 2 / 3)
        assert field.theoretical.size == (2 * layers + 1,) * 2
        assert field.extent()[0] == pytest.approx(4 * deviation, abs=1.5)
        extents[layers] = field.extent()[0]
    assert extents[16] / extents[4] == pytest.approx(2, abs=0.4)


def test_a_gate_makes_the_field_global_and_the_gradient_reaches_every_pixel() -> None:
    class Gated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.gate = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return x * torch.sigmoid(self.gate(x.mean((2, 3), keepdim=True)))

    torch.manual_seed(0)
    field = measured(Gated())
    assert field.theoretical.kind == "global"
    assert (field.gradient > 0).all()
    assert "global: the whole image" in describe_effective(field)


# The network and the process are left alone


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


# What can't be measured is said


def _dead() -> nn.Module:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    nn.init.constant_(network[0].bias, -1e6)
    return network


def test_a_dead_unit_is_an_error() -> None:
    with pytest.raises(ModelError, match="no gradient") as caught:
        measured(_dead())
    assert caught.value.found == "0 at every pixel of every image"


def test_weights_that_are_no_numbers_are_an_error() -> None:
    network = nn.Conv2d(3, 1, 1)
    nn.init.constant_(network.weight, float("nan"))
    with pytest.raises(ModelError, match="no gradient") as caught:
        measured(network)
    assert caught.value.found == "not a number"


def test_a_network_without_weights_is_an_error() -> None:
    with torch.device("meta"):
        network = nn.Conv2d(3, 1, 1)
    with pytest.raises(ModelError, match="has no weights"):
        measured(network)


def test_a_network_without_maps_is_an_error() -> None:
    with pytest.raises(UsageError, match="no map"):
        measured(nn.Sequential(nn.Flatten(), nn.Linear(3 * 33 * 47, 2)))


def test_several_inputs_are_an_error() -> None:
    class Two(nn.Module):
        def forward(self, one: Tensor, other: Tensor) -> Tensor:
            return one + other

    analysis = analyze(Two(), inputs=[SIZE, SIZE])
    with pytest.raises(UsageError, match="isn't called with one image"):
        measure_effective_field(Two(), analysis)


@pytest.mark.parametrize("shape", [(0, *SIZE), (2, 3, 32, 32)])
def test_images_of_another_size_are_an_error(shape: tuple[int, ...]) -> None:
    network = nn.Conv2d(3, 1, 3)
    with pytest.raises(UsageError, match="don't fit"):
        measure_effective_field(network, analyze(network, SIZE), torch.zeros(shape))


def test_a_detached_map_is_an_error() -> None:
    class Detached(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 1, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.conv(x).detach()

    with pytest.raises(ModelError, match="traced back"):
        measured(Detached())


# The picture


def _drawn_texts(analysis: Analysis, network: nn.Module) -> list[str]:
    field = measure_effective_field(network, analysis, count=1)
    with theme.drawing():
        figure = draw_effective(field, theme.LIGHT)
        return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_picture_says_both_sizes() -> None:
    network = positive(nn.Sequential(*[nn.Conv2d(3, 3, (3, 1), padding=(1, 0)) for _ in range(8)]))
    texts = " ".join(_drawn_texts(analyze(network, SIZE), network))
    assert "theoretical field: 17 \N{MULTIPLICATION SIGN} 1 px" in texts
    assert re.findall(r"([\d.]+) % of the gradient within", texts) == ["95.45", "50"]


def test_a_field_too_large_to_draw_is_said_and_leaves_the_image_large() -> None:
    network = positive(nn.Sequential(*[nn.Conv2d(3, 3, 11, padding=5) for _ in range(20)]))
    texts = " ".join(_drawn_texts(analyze(network, (3, 16, 24)), network))
    assert "201 \N{MULTIPLICATION SIGN} 201 px; shaded, too large to draw" in texts


def test_the_brightest_pixel_is_the_strongest() -> None:
    field = measured(positive(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1))))
    brightness = heat(field).astype(int).sum(axis=2)
    assert heat(field).shape == (33, 47, 3)
    assert np.unravel_index(brightness.argmax(), (33, 47)) == np.unravel_index(
        field.gradient.argmax(), (33, 47)
    )
    assert brightness.min() == brightness[0, 0]
