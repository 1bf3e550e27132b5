"""What detectors and optical flow do with maps: boxes, masks that depend on the image, points to look at."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import ops

from cifar_report.analyzer import analyze
from tests.analyzer import oracles, our_fields
from tests.analyzer.functions import Function

SHAPE = (2, 16, 12)


def boxes_of(x: Tensor) -> Tensor:
    """Return 5 boxes (x1, y1, x2, y2) that depend on one row of the image."""
    corner = x[0, 0, 3, :10].reshape(5, 2) * 4
    return torch.cat([corner, corner + 3], 1)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: ops.roi_align(x, [boxes_of(x)], 3, sampling_ratio=2),
        lambda x: ops.roi_pool(x, [boxes_of(x)], 3),
        lambda x: ops.ps_roi_align(x, [boxes_of(x)], 1),
        lambda x: ops.ps_roi_pool(x, [boxes_of(x)], 1),
        lambda x: x.flatten(2)[:, :, x[0, 0].flatten() > 0.2],
        lambda x: x[x > 0.2],
        lambda x: x[:, :, x[0, 0] >= 0],
    ],
    ids=["roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "mask", "mask of all", "mask of a map"],
)
def test_what_is_picked_by_the_image_may_come_from_anywhere_on_it(
    function: Callable[[Tensor], Tensor],
) -> None:
    totals = analyze(Function(function), SHAPE).totals
    assert totals.receptive_field.output.size == SHAPE[1:]
    assert totals.unknown_ops == ()
    assert totals.macs == 0


def test_suppressed_boxes_have_been_compared_with_all_others() -> None:
    def keep(x: Tensor) -> Tensor:
        boxes = boxes_of(x)
        return boxes[ops.nms(boxes, x[0, 1, 5, :5], 0.5)]

    totals = analyze(Function(keep), SHAPE).totals
    # Rows 3 and 5 and what lies between them; 10 columns.
    assert totals.receptive_field.output.size == (3, 10)
    assert totals.unknown_ops == ()
    # 5 boxes are 10 pairs; every box is a sum of 2 numbers, of 2 coordinates, and a product of these.
    assert totals.elementwise == 10 * 11 + 5 * 2 * 2


def test_known_boxes_are_not_taken_for_unknown_ones() -> None:
    field = analyze(Function(lambda x: ops.roi_align(x, [torch.ones(1, 4)], 2)), SHAPE).totals.receptive_field
    assert (field.output.kind, field.output.cause) == (
        "unknown",
        "torchvision::roi_align in the network itself",
    )


@pytest.mark.parametrize(
    "function",
    [
        lambda x: torch.cat([x.flatten(2)[:, :, :0].reshape(0, 4), x.reshape(-1, 4)[:0]]),
        lambda x: torch.cat([x[0, 0, 0, :0], x[0, 1, 0, :0]]).view(0, 4).unsqueeze(0),
    ],
)
def test_where_nothing_is_left_nothing_is_seen(function: Callable[[Tensor], Tensor]) -> None:
    field = analyze(Function(function), SHAPE).totals.receptive_field.output
    assert (field.kind, field.cause) == ("unknown", "it is empty: no unit is left to see anything")


def test_every_map_of_a_batch_is_sampled_at_points_of_its_own() -> None:
    shifts = torch.tensor([[0.0, 0.0], [0.25, -0.5]])

    def look(x: Tensor) -> Tensor:
        grid = F.affine_grid(torch.eye(2, 3)[None].expand(2, 2, 3), [2, 1, 16, 12], align_corners=False)
        maps = F.grid_sample(x.transpose(0, 1), grid + shifts[:, None, None], "nearest", align_corners=False)
        return maps.transpose(0, 1)

    network = Function(look)
    for axis, found in enumerate(our_fields.bounds(network, SHAPE)):
        rows = oracles.nan_rows(network, SHAPE, axis)
        inside = (slice(None), slice(5, -5), slice(4, -4))
        assert our_fields.differing(found, oracles.bounds_of(rows), SHAPE[1 + axis], inside) == []


def test_a_network_under_vmap_is_seen_through() -> None:
    layer = nn.Conv2d(2, 3, (3, 5), bias=False)
    totals = analyze(Function(lambda x: torch.func.vmap(lambda one: layer(one[None])[0])(x)), SHAPE).totals
    assert totals.receptive_field.output.size == (3, 5)
    assert totals.macs == 3 * 14 * 8 * 2 * 15


NETWORKS = ["ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn"]
if os.environ.get("CIFAR_REPORT_ALL_LAYERS"):  # takes minutes
    NETWORKS = torchvision.models.list_models(module=torchvision.models.detection)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_operator_of_a_detector_is_known(name: str) -> None:
    network = torchvision.models.get_model(name, weights=None, weights_backbone=None).eval()
    with warnings.catch_warnings(action="ignore"):  # torch warns of torchvision's meshgrid
        totals = analyze(network, (3, 96, 128)).totals
    assert totals.unknown_ops == ()
    assert totals.params == sum(p.numel() for p in network.parameters())


def test_places_in_a_table_of_zeros_are_written_one_by_one() -> None:
    def points(x: Tensor) -> Tensor:
        table = torch.zeros(2, 3, 12)
        for row in range(2):
            table[row, 0] = x[0, 0, row + 4]
            table[row, 2] = 1.0
        return table

    rows, columns = our_fields.bounds(Function(points), SHAPE)
    for first, last, seen in ((*rows, [4] * 12), (*columns, list(range(12)))):
        assert first[0].tolist() == last[0].tolist() == seen
        assert (first[1:] > last[1:]).all()
