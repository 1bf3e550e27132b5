from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cifar_report.analyzer.assemble import analyze
from cifar_report.reporter.effective_field import EffectiveField, measure_effective_field
from cifar_report.reporter.field_pictures_effective import describe_effective
from cifar_report.reporter.field_pictures_geometry import unit_box
from tests.reporter.effective_fields import measured, positive


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
