"""Where nodes and edges of a graph lie."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from cifar_report.analyzer.analysis import Analysis
from cifar_report.reporter import network_graph_layout as layouts
from cifar_report.reporter.network_graph import network_graph
from tests.reporter.graph_networks import every_network


def sampled(route: layouts.Route) -> Iterator[tuple[float, float]]:
    """Yield points along a route, by the definition of a cubic curve where it is one."""
    for (x0, y0), (x1, y1) in pairwise(route.points):
        for step in range(1, 40):
            t = step / 40
            if route.curved and x0 != x1:
                near, far = (1 - t) ** 2 * (1 + 2 * t), t * t * (3 - 2 * t)
                middle = (y0 + y1) / 2
                weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t + 3 * (1 - t) * t * t, t**3)
                yield near * x0 + far * x1, weights[0] * y0 + weights[1] * middle + weights[2] * y1
            else:
                yield x0 + t * (x1 - x0), y0 + t * (y1 - y0)


@every_network
@pytest.mark.parametrize("max_width", [250, 950])
def test_no_box_lies_on_another_and_no_edge_under_a_box(analysis: Analysis, max_width: int) -> None:
    graph = network_graph(analysis)
    heights = [40.0 + 15 * (index % 3) for index in range(len(graph.nodes))]
    layout = layouts.lay_out(heights, graph.edges, max_width)
    boxes = [
        (x, y, x + layouts.BOX_WIDTH, y + high) for (x, y), high in zip(layout.boxes, heights, strict=True)
    ]
    for index, (left, top, right, bottom) in enumerate(boxes):
        assert left >= 0
        assert top >= 0
        assert right <= layout.width
        assert bottom <= layout.height
        for other in boxes[:index]:
            assert left >= other[2] or right <= other[0] or top >= other[3] or bottom <= other[1]
    for route in layout.routes:
        for x, y in sampled(route):
            assert -1 <= x <= layout.width + 1
            assert not any(box[0] + 1 < x < box[2] - 1 and box[1] + 1 < y < box[3] - 1 for box in boxes)


@every_network
def test_edges_begin_and_end_at_their_boxes(analysis: Analysis) -> None:
    graph = network_graph(analysis)
    layout = layouts.lay_out([50.0] * len(graph.nodes), graph.edges, 950)
    for (_, target), route in zip(graph.edges, layout.routes, strict=False):
        x, y = layout.boxes[target]
        end_x, end_y = route.points[-1]
        on_top = end_y == y and x < end_x < x + layouts.BOX_WIDTH
        on_the_side = end_x == x and y < end_y < y + 50
        assert on_top or on_the_side


def test_a_wide_picture_has_columns_and_a_narrow_one_has_one() -> None:
    edges = [(node, node + 1) for node in range(39)]
    wide, narrow = (layouts.lay_out([50.0] * 40, edges, width) for width in (950, 300))
    assert wide.width <= 950
    assert wide.height < narrow.height / 3
    assert narrow.width == layouts.BOX_WIDTH
