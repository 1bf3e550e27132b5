"""Which pixels reach a unit, of networks that leave holes and of such that don't, beside the gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.analyzer.densities import densities_of, reached, unit_of

SHAPE = (2, 40, 44)


class Apply(nn.Module):
    """A function of the input and of some modules."""

    def __init__(self, function: Callable[..., Any], *modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.parts = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Any:
        return self.function(x, *self.parts)


def conv(kernel=3, stride=1, padding=0, dilation=1, channels=(2, 2), groups=1) -> nn.Conv2d:
    return nn.Conv2d(*channels, kernel, stride, padding, dilation, groups, bias=False)


def up(kernel=3, stride=2, padding=0, output_padding=0, dilation=1) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(2, 2, kernel, stride, padding, output_padding, bias=False, dilation=dilation)


def stack(*dilations: int) -> nn.Sequential:
    return nn.Sequential(*[conv(3, 1, d, d) for d in dilations])


def cat_of_branches(x: Tensor, *parts: nn.Module) -> Tensor:
    return parts[-1](torch.cat([part(x) for part in parts[:-1]], 1))


def pyramid(*dilations: int) -> Apply:
    branches = [conv(1), *[conv(3, 1, d, d) for d in dilations]]
    return Apply(cat_of_branches, *branches, conv(1, channels=(2 * len(branches), 2)))


def write(x: Tensor, part: nn.Module) -> Tensor:
    y = part(x).clone()
    y[:, :, ::2] = x[:, :, ::2]
    y[:, 0] = x[:, 1]
    return y


def windows(x: Tensor) -> Tensor:
    parts = x.view(1, 2, 10, 4, 11, 4).permute(0, 2, 4, 1, 3, 5)
    return parts.mean((4, 5)).permute(0, 3, 1, 2)


def u_net(x: Tensor, down, pool, inner, grow, outer) -> Tensor:
    left = down(x)
    return outer(torch.cat([grow(inner(pool(left))), left], 1))


NETWORKS: dict[str, nn.Module] = {
    "dilations 2 2 2": stack(2, 2, 2),
    "dilations 1 2 3": stack(1, 2, 3),
    "dilations 1 2 9": stack(1, 2, 9),
    "pyramid": pyramid(2, 4, 6),
    "pyramid with pooling": Apply(
        cat_of_branches,
        conv(3, 1, 4, 4),
        nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(1), nn.Upsample(SHAPE[1:], mode="bilinear")),
        conv(1, channels=(4, 2)),
    ),
    "transposed, kernel 3 stride 2": nn.Sequential(conv(3, 2, 1), up(3, 2, 1, 1)),
    "transposed and dilated": nn.Sequential(conv(3, 2, 1, 2), up(3, 2, 1, 1, 2)),
    "transposed, kernel smaller than its stride": nn.Sequential(conv(3, 2, 1), up(1, 2), conv(2, 1, 0, 3)),
    "stride larger than the kernel": nn.Sequential(conv(1, 3), conv(3, 1, 1)),
    "pool with a larger stride": nn.Sequential(nn.MaxPool2d(2, 5), conv(3, 1, 1)),
    "dilated pool": nn.Sequential(nn.MaxPool2d(2, 1, 0, 3), nn.MaxPool2d(2, 1, 0, 2)),
    "pixel shuffle": nn.Sequential(conv(3, 1, 2, 2, (2, 8)), nn.PixelShuffle(2), conv(3, 1, 3, 3)),
    "pixel unshuffle": nn.Sequential(
        nn.PixelUnshuffle(2), conv(3, 1, 2, 2, (8, 8), 8), conv(1, 1, 0, 1, (8, 1))
    ),
    "channel shuffle": nn.Sequential(
        conv(3, 1, 2, 2, (2, 4), 2), nn.ChannelShuffle(2), conv(3, 1, 4, 4, (4, 4), 2)
    ),
    "every second column": nn.Sequential(Apply(lambda x: x[..., ::2]), conv(3, 1, 1)),
    "every third row": nn.Sequential(Apply(lambda x: x[:, :, 1::3, ::2]), conv(3, 1, 2, 2)),
    "three of four positions": nn.Sequential(
        Apply(lambda x: torch.cat([x[..., ::2, ::2], x[..., 1::2, ::2]], 1)), conv(3, 1, 1, 1, (4, 2))
    ),
    "a branch for each channel": Apply(
        lambda x, a, b: torch.cat([a(x[:, :1]), b(x[:, 1:])], 1)[:, 1:],
        conv(3, 1, 3, 3, (1, 1)),
        conv(3, 1, 1, 1, (1, 1)),
    ),
    "stacked branches": Apply(
        lambda x, a, b: torch.stack([a(x), b(x)], 1).flatten(1, 2), conv(3, 1, 2, 2), conv(3, 1, 3, 3)
    ),
    "rolled": nn.Sequential(stack(2), Apply(lambda x: torch.roll(x, (3, 5), (2, 3))), stack(2)),
    "mirrored": Apply(lambda x, a: a(x) + x.flip(3), stack(2)),
    "patches": nn.Sequential(
        nn.Unfold(3, 2, 2), Apply(lambda x: x.view(1, 18, *SHAPE[1:])), conv(1, channels=(18, 2))
    ),
    "patches put back": nn.Sequential(
        stack(2), nn.Unfold(3, 2, 2, 2), nn.Fold(SHAPE[1:], 3, 2, 2, 2), stack(3)
    ),
    "tokens": nn.Sequential(
        conv(4, 4),
        Apply(lambda x, linear: linear(x.flatten(2).transpose(1, 2)), nn.Linear(2, 4)),
        Apply(lambda x: x.transpose(1, 2).reshape(1, 4, 10, 11)),
        conv(3, 1, 2, 2, (4, 4)),
    ),
    "windows": nn.Sequential(Apply(windows), stack(2)),
    "gate": Apply(lambda x, a, b: a(x) * b(x.mean((2, 3), keepdim=True)), stack(2), conv(1)),
    "global pooling": nn.Sequential(conv(3, 2, 2, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 5)),
    "flattened": nn.Sequential(conv(3, 3, 0, 4), nn.Flatten(), nn.Linear(2 * 11 * 12, 5)),
    "bicubic": nn.Sequential(conv(3, 3, 1), nn.Upsample(scale_factor=2, mode="bicubic"), stack(2)),
    "bilinear by 1.5": nn.Sequential(
        conv(3, 2, 2, 2), nn.Upsample(scale_factor=1.5, mode="bilinear", align_corners=True), stack(2)
    ),
    "adaptive pooling": nn.Sequential(nn.AdaptiveAvgPool2d((7, 9)), stack(2)),
    "gated linear unit": nn.Sequential(conv(3, 1, 2, 2, (2, 4)), nn.GLU(1)),
    "written to": Apply(write, stack(2)),
    "indexed": nn.Sequential(
        Apply(lambda x: x[:, :, torch.arange(0, 40, 3)][..., torch.tensor([1, 5, 9, 20, 21, 22])]),
        conv(3, 1, 1),
    ),
    "indexed as points": Apply(lambda x: x[:, :, torch.tensor([3, 8, 30]), torch.tensor([9, 2, 5])]),
    "masked": Apply(lambda x, a: a(x.masked_fill(torch.eye(44)[:40] > 0, 0.0)), conv(9, 1, 4)),
    "padded": nn.Sequential(nn.ZeroPad2d((3, 0, 1, 5)), stack(2, 2)),
    "U-Net": Apply(u_net, conv(3, 1, 1), nn.MaxPool2d(2), stack(2), up(2, 2), conv(3, 1, 1, 1, (4, 2))),
    "group normalisation": nn.Sequential(stack(2), nn.GroupNorm(2, 2)),
    "layer normalisation of rows": nn.Sequential(stack(2), nn.LayerNorm([44])),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_the_pixels_are_those_that_the_gradient_reaches(name: str) -> None:
    network = NETWORKS[name]
    densities, value = densities_of(network, SHAPE)
    unit = unit_of(densities, value)
    expected = reached(network, SHAPE, unit)
    np.testing.assert_array_equal(densities.visible(value, unit), expected)
    rows, columns = np.nonzero(expected)
    box = expected[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    found = densities.of(value)
    assert found.visible == box.mean()
    if found.size == box.shape:  # the field lies on the image
        assert found.share == box.mean()
        assert found.per_axis == (box.any(1).mean(), box.any(0).mean())


@pytest.mark.parametrize(
    ("dilations", "share"),
    [
        ((1,), 1.0),
        ((2,), 9 / 25),
        ((2, 2, 2), 49 / 169),
        ((1, 2, 3), 1.0),
        ((1, 2, 5), 1.0),
        ((3, 3), 25 / 169),
    ],
)
def test_hybrid_dilation_has_no_holes_and_equal_dilations_do(dilations, share) -> None:
    densities, value = densities_of(stack(*dilations), SHAPE)
    assert densities.of(value).share == share


def test_the_share_is_that_of_the_theoretical_field_and_the_visible_one_that_of_the_image() -> None:
    network = stack(*[4] * 6)  # 49 px wide
    small, value = densities_of(network, (2, 16, 16))
    large, other = densities_of(network, (2, 120, 120))
    found, whole = small.of(value), large.of(other)
    assert (found.share, found.size) == (whole.share, whole.size) == (13**2 / 49**2, (49, 49))
    expected = reached(network, (2, 16, 16), unit_of(small, value))
    rows, columns = np.nonzero(expected)
    assert found.visible == expected[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].mean()


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
def test_padding_that_is_copied_from_the_map_is_followed_there_on_the_image(mode) -> None:
    layers = [nn.Conv2d(2, 2, 5, padding=4, dilation=2, padding_mode=mode, bias=False) for _ in range(4)]
    network = nn.Sequential(*layers)  # 33 px wide
    densities, value = densities_of(network, (2, 14, 19))
    unit = unit_of(densities, value)
    np.testing.assert_array_equal(densities.visible(value, unit), reached(network, (2, 14, 19), unit))
    assert densities.of(value).share == 17**2 / 33**2


def test_branches_with_unlike_kernels_leave_the_corners_out() -> None:
    def cross(x: Tensor, wide: nn.Module, high: nn.Module) -> Tensor:
        return wide(x) + high(x)

    densities, value = densities_of(Apply(cross, conv((1, 5), 1, (0, 2)), conv((5, 1), 1, (2, 0))), SHAPE)
    found = densities.of(value)
    assert (found.share, found.per_axis) == (9 / 25, (1.0, 1.0))


def test_one_and_three_axes_have_densities_too() -> None:
    line = nn.Sequential(nn.Conv1d(1, 1, 3, dilation=2), nn.Conv1d(1, 1, 3, dilation=4))
    densities, value = densities_of(line, (1, 40))
    assert densities.of(value).share == 7 / 13
    densities, value = densities_of(nn.Conv3d(1, 1, 3, dilation=(1, 2, 3)), (1, 9, 9, 9))
    assert densities.of(value).per_axis == (1.0, 3 / 5, 3 / 7)


def test_an_operator_whose_reach_is_not_known_is_named() -> None:
    def added(x: Tensor) -> Tensor:
        return x.index_add(2, torch.tensor([0, 0]), x[:, :, :2])

    densities, value = densities_of(nn.Sequential(conv(3, 1, 1), Apply(added), conv(3, 1, 1)), SHAPE)
    found = densities.of(value)
    assert (found.share, found.cause) == (None, "index_add")


def test_what_does_not_see_the_image_has_no_density() -> None:
    densities, value = densities_of(Apply(lambda x: torch.zeros_like(x)), SHAPE)
    assert densities.of(value).share is None
    assert densities.of(value).cause == "it doesn't depend on the image"
