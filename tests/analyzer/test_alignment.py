"""Branches that look at other places than their neighbours are found, and no others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_report.analyzer import field_rules  # noqa: F401 - registers the rules
from cifar_report.analyzer.alignment import compare_branches
from cifar_report.analyzer.coverage import Alignment
from cifar_report.analyzer.receptive_field import RULES, compute_fields
from cifar_report.analyzer.rows import lay_out
from cifar_report.analyzer.trace import trace_network
from tests.analyzer import oracles


def alignment(network: nn.Module, shape: Sequence[int] = (2, 32, 40)) -> Alignment:
    trace = trace_network(network, tuple(shape), RULES)
    rows = lay_out(trace)
    return compare_branches(trace, compute_fields(trace), lambda node: rows.names[rows.row_of_node[node]])


class Join(nn.Module):
    """Branches of one input, joined by a function."""

    def __init__(self, join: Callable[..., Tensor], *branches: nn.Module) -> None:
        super().__init__()
        self.join = join
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Any:
        return self.join(*[branch(x) for branch in self.branches])


class Crop(nn.Module):
    def __init__(self, top: int, left: int, bottom: int, right: int) -> None:
        super().__init__()
        self.rows, self.columns = slice(top, -bottom or None), slice(left, -right or None)

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, self.rows, self.columns]


def add(left: Tensor, right: Tensor) -> Tensor:
    return left + right


def cat(*parts: Tensor) -> Tensor:
    return torch.cat(parts, 1)


def conv(kernel: Any = 3, stride: int = 1, padding: Any = 0, channels: tuple[int, int] = (2, 2)) -> nn.Conv2d:
    return nn.Conv2d(*channels, kernel, stride, padding, bias=False)


def measured(network: Join, shape: Sequence[int] = (2, 32, 40), period: int = 1) -> list[list[float]]:
    """Return each branch's centres behind the first's, per axis, by the gradients of units in the middle."""
    branches = []
    for branch in network.branches:
        image = torch.ones(1, *shape, dtype=torch.float64, requires_grad=True)
        with oracles.Linear():
            output = branch.eval()(image)
        centres = []
        for axis in (0, 1):
            units = [size // 2 for size in output.shape[2:]]
            found = []
            for unit in range(units[axis], units[axis] + period):
                units[axis] = unit
                extent = oracles.extent(
                    oracles.footprint(output[0, :, units[0], units[1]].sum(), image)[axis]
                )
                found.append(sum(extent) / 2)
            centres.append(sum(found) / period)
        branches.append(centres)
    return [[own - first for own, first in zip(branch, branches[0], strict=True)] for branch in branches]


ASTRAY = {
    "an unpadded branch, cropped at one side": Join(add, conv(3), Crop(2, 0, 0, 2)),
    "an even kernel, padded at one side": Join(
        add, nn.Identity(), nn.Sequential(nn.ZeroPad2d((0, 1, 0, 1)), conv(2))
    ),
    "a wide kernel, padded on the left": Join(
        add, nn.Identity(), nn.Sequential(nn.ZeroPad2d((4, 0, 1, 1)), conv((3, 5)))
    ),
    "space to depth beside a strided convolution": Join(
        cat, conv(3, 2, 1), nn.Sequential(nn.PixelUnshuffle(2), conv(1, 1, 0, (8, 2)))
    ),
    "a pool of 2 beside a strided convolution": Join(add, conv(3, 2, 1), nn.AvgPool2d(2)),
    "the last of three branches": Join(
        cat, conv(3, 1, 1), conv(5, 1, 2), nn.Sequential(nn.ZeroPad2d((0, 0, 3, -3)), conv(1))
    ),
}


@pytest.mark.parametrize("name", ASTRAY)
def test_a_shifted_branch_is_found_with_its_shift_in_pixels(name: str) -> None:
    network = ASTRAY[name]
    (join,) = alignment(network).misaligned
    assert [list(offset) for offset in join.offsets] == measured(network)
    assert max(join.spread) > 0


def test_the_join_and_its_branches_are_named() -> None:
    found = alignment(Join(add, conv(3), Crop(2, 1, 0, 1)))
    (join,) = found.misaligned
    assert join.layer == "add"
    assert join.branches == ("branches.0", "branches.1")
    assert join.offsets == ((0.0, 0.0), (1.0, 0.0))
    assert join.spread == (1.0, 0.0)
    assert found.compared == 1


@pytest.mark.parametrize(
    "network",
    [
        Join(add, conv(3), Crop(1, 1, 1, 1)),
        Join(add, conv(3, 2, 1), conv(1, 2)),
        Join(add, conv(7, 2, 3), nn.MaxPool2d(3, 2, 1)),
        Join(
            cat,
            conv(1),
            conv(5, 1, 2),
            nn.Sequential(nn.AvgPool2d(3, 1, 1), conv(1)),
            conv((1, 7), 1, (0, 3)),
        ),
        Join(add, nn.Identity(), nn.Sequential(conv(2, 1, (1, 1)), conv(2))),
    ],
)
def test_branches_with_one_centre_are_aligned(network: Join) -> None:
    found = alignment(network)
    assert (found.compared, found.misaligned, found.unknown) == (1, (), ())
    assert not any(any(offset) for offset in measured(network))


@pytest.mark.parametrize(
    "grow",
    [
        nn.ConvTranspose2d(2, 2, 2, 2, bias=False),
        nn.ConvTranspose2d(2, 2, 4, 2, 1, bias=False),
        nn.Upsample(scale_factor=2),
        nn.Upsample(scale_factor=2, mode="bilinear"),
    ],
)
def test_the_halves_of_a_padded_u_net_are_aligned_on_average(grow: nn.Module) -> None:
    network = Join(cat, nn.Identity(), nn.Sequential(nn.MaxPool2d(2), conv(3, 1, 1), grow))
    found = alignment(network)
    assert (found.compared, found.misaligned) == (1, ())
    assert not any(any(offset) for offset in measured(network, period=2))


def test_a_transposed_kernel_of_3_lies_half_a_pixel_beside_the_pool_of_2_that_it_undoes() -> None:
    grow = nn.ConvTranspose2d(2, 2, 3, 2, 1, output_padding=1, bias=False)
    network = Join(cat, nn.Identity(), nn.Sequential(nn.MaxPool2d(2), grow))
    (join,) = alignment(network).misaligned
    assert join.offsets[1] == (0.5, 0.5)
    assert measured(network, period=2)[1] == [0.5, 0.5]


def test_a_coarse_map_from_padded_strides_lies_off_when_it_is_repeated_onto_a_finer_one() -> None:
    coarse = nn.Sequential(conv(3, 2, 1), conv(3, 2, 1), nn.Upsample(scale_factor=2))
    network = Join(add, conv(3, 2, 1), coarse)  # the top-down path of a feature pyramid
    (join,) = alignment(network).misaligned
    assert join.offsets[1] == (-1.0, -1.0)
    assert measured(network, period=2)[1] == [-1.0, -1.0]


@pytest.mark.parametrize(
    ("name", "joins"),
    [("resnet18", 8), ("resnet50", 16), ("densenet121", 58), ("googlenet", 9), ("inception_v3", 15),
     ("shufflenet_v2_x1_0", 16), ("mobilenet_v2", 10), ("squeezenet1_1", 8)],
)  # fmt: skip
@pytest.mark.parametrize("shape", [(3, 96, 131)])
def test_known_networks_raise_no_false_alarm(name: str, joins: int, shape: tuple[int, ...]) -> None:
    options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    with torch.device("meta"):
        network = getattr(torchvision.models, name)(weights=None, **options)
    found = alignment(network, shape)
    assert (found.compared, found.misaligned, found.unknown) == (joins, (), ())


def test_gates_and_pooled_branches_look_at_no_place() -> None:
    gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(1), nn.Sigmoid())
    spread = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Upsample((32, 40)))
    for network in (Join(torch.mul, nn.Identity(), gate), Join(cat, conv(3, 1, 1), spread)):
        found = alignment(network)
        assert (found.compared, found.misaligned, found.unknown) == (0, (), ())


def test_parts_that_are_put_side_by_side_are_no_branches() -> None:
    network = Join(lambda left, right: torch.cat([left, right], 3), Crop(0, 0, 0, 20), Crop(0, 20, 0, 0))
    assert alignment(network) == Alignment(0, (), ())


def test_branches_that_move_unevenly_can_not_be_compared() -> None:
    class Rolled(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.roll(x, 3, 2)

    assert alignment(Join(add, nn.Identity(), Rolled())).unknown == ("add",)


def test_a_branch_with_an_unknown_field_can_not_be_compared() -> None:
    class Looked(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.embedding(torch.arange(32), x[0, 0])[None, None]

    assert alignment(Join(add, nn.Identity(), Looked())).unknown == ("add",)
