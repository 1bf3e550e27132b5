"""Networks that random ones, or people, found to be reported wrongly, as small as they get."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_report.analyzer import analyze
from tests.analyzer import oracles, our_fields
from tests.analyzer.functions import Function


def shifted_beside_itself(x: Tensor) -> Tensor:
    return torch.cat([x[..., :-1], x[..., 1:]], 1)


NETWORKS = {
    "a scale factor that doesn't divide the map": [nn.Upsample(scale_factor=1.5) for _ in range(2)],
    "a transposed convolution that leaves columns out, which then see no row either": [
        nn.ConvTranspose2d(1, 2, 1, stride=(1, 2)),
        Function(lambda x: torch.cat([x[..., :-2, :-1], x[..., 1:-1, 1:]], 1)),
        nn.Conv2d(4, 1, 1),
    ],
    "channels turned around where columns were left out": [
        nn.ConvTranspose2d(1, 2, 1, stride=(1, 3)),
        Function(lambda x: x.flip(1)),
    ],
    "a pixel shuffle of channels that see different parts": [
        Function(lambda x: torch.cat([F.avg_pool2d(x, 3, 1, 1), x[:, :, :, :]], 1)),
        nn.ConvTranspose2d(2, 4, 1, groups=2),
        nn.PixelShuffle(2),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_every_inner_unit_sees_what_the_impulses_reach(name: str) -> None:
    network = nn.Sequential(*NETWORKS[name])
    shape = (1, 18, 12)
    for axis, found in enumerate(our_fields.bounds(network, shape)):
        expected = oracles.bounds_of(oracles.impulse_rows(network, shape, axis))
        inside = (slice(None), slice(4, -4), slice(4, -4))
        assert our_fields.differing(found, expected, shape[1 + axis], inside) == []


def test_the_size_of_a_map_with_holes_is_that_of_its_seeing_units() -> None:
    network = nn.Sequential(
        nn.ConvTranspose2d(1, 2, 1, stride=(1, 3)), Function(lambda x: x.flip(1)), nn.Conv2d(2, 1, 3)
    )
    field = analyze(network, (1, 18, 12)).totals.receptive_field.output
    # Every third column is filled, so three columns show one of the image's.
    assert field.size == (3, 1)
    assert field.stride == (1, 1 / 3)


def test_the_size_of_a_pixel_shuffle_is_the_largest_of_its_phases() -> None:
    network = nn.Sequential(*NETWORKS["a pixel shuffle of channels that see different parts"])
    field = analyze(network, (1, 18, 12)).totals.receptive_field.output
    assert (field.size, field.uniform) == ((3, 3), False)


def test_a_global_field_from_the_very_first_operator_keeps_its_cause_when_joined() -> None:
    network = Function(lambda x: torch.cat([F.layer_norm(x, x.shape[1:]), torch.zeros_like(x)], 1))
    analysis = analyze(network, (3, 8, 8))
    normalised, joined = analysis.operators[0].receptive_field, analysis.totals.receptive_field.output
    assert (normalised.kind, joined.kind) == ("global", "global")
    assert joined.cause == normalised.cause
