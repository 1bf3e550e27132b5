"""Where the nodes and edges of a network's graph lie: rows beneath each other, lanes beside, in columns.

An edge that skips rows runs down a lane that is free there or, along the longest path, in the margin to the
left of it; so no edge ever lies under a box. As in a newspaper there may be several columns. Coordinates are
in pixels from the top left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from cifar_report.reporter.network_graph_grid import ROW_GAP, Grid, column_breaks, make_grid

BOX_WIDTH = 204
LANE_GAP = 14
COLUMN_GAP = 30
TRACK = 9
"""Distance between two edges that run down the margin side by side."""
CORNER = 8.0
ENOUGH_HEIGHT = 720
"""Up to this height another column isn't worth it."""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Route:
    """An edge's points; the last but one and the last give the direction of the arrow, if it has one."""

    points: tuple[Point, ...]
    curved: bool
    """True for one smooth bend from the first point to the last, False for lines with rounded corners."""
    arrow: bool = True


@dataclass(frozen=True, slots=True)
class Layout:
    """Top left corners of the boxes, and the edges between them."""

    boxes: tuple[Point, ...]
    routes: tuple[Route, ...]
    width: float
    height: float


def lay_out(heights: Sequence[float], edges: Sequence[tuple[int, int]], max_width: float) -> Layout:
    """Place nodes of these heights; every edge leads from a smaller to a larger number.

    Columns are added until the picture is low enough or as wide as it may be.
    """
    grid = make_grid(heights, edges)
    best = _Drawing(grid, edges, [0, grid.height]).layout()
    for columns in range(2, 9):
        breaks = column_breaks(grid, edges, columns)
        if best.height <= ENOUGH_HEIGHT or breaks is None:
            break
        layout = _Drawing(grid, edges, breaks).layout()
        if layout.width > max_width:
            break
        best = layout
    return best


class _Drawing:
    """The grid in columns that begin at some rows."""

    def __init__(self, grid: Grid, edges: Sequence[tuple[int, int]], breaks: Sequence[int]) -> None:
        self._grid = grid
        self._edges = sorted(edges)
        self._breaks = breaks
        self._column = [
            column for column, (first, end) in enumerate(pairwise(breaks)) for _ in range(first, end)
        ]
        self._above = [0.0, *accumulate(grid.row_heights())]
        self._tracks = self._margins()
        self._left = self._lefts()

    def layout(self) -> Layout:
        """Return all coordinates."""
        grid = self._grid
        boxes = tuple(
            (self._x(row, lane), self._y(row)) for row, lane in zip(grid.rows, grid.lanes, strict=True)
        )
        routes = [self._route(source, target) for source, target in self._edges]
        routes += [self._connector(column) for column in range(1, len(self._breaks) - 1)]
        bottom = max((y + high for (_, y), high in zip(boxes, grid.heights, strict=True)), default=0.0)
        if len(self._breaks) > 2:
            bottom += ROW_GAP / 2
        return Layout(boxes, tuple(routes), self._left[-1], bottom)

    def _x(self, row: int, lane: int) -> float:
        """Return the left edge of a lane."""
        return self._left[self._column[row]] + lane * (BOX_WIDTH + LANE_GAP)

    def _y(self, row: int) -> float:
        """Return the top of a row; columns that are fed from the one before begin lower."""
        above = self._above[row] - self._above[self._breaks[self._column[row]]]
        return above + (ROW_GAP if len(self._breaks) > 2 else 0.0)

    def _end(self, row: int) -> float:
        """Return the bottom of a row."""
        return self._y(row) + self._above[row + 1] - self._above[row] - ROW_GAP

    def _skips(self, source: int, target: int) -> bool:
        """Tell whether an edge runs in the margin."""
        grid = self._grid
        if grid.lanes[source] > 0 or grid.rows[target] == grid.rows[source] + 1:
            return False
        lane = grid.lanes[target]
        between = range(grid.rows[source] + 1, grid.rows[target])
        return lane == 0 or any((row, lane) in grid.taken for row in between)

    def _start_row(self, source: int, target: int) -> int:
        """Return the row that an edge comes from, in the column of its target."""
        return max(self._grid.rows[source], self._breaks[self._column[self._grid.rows[target]]] - 1)

    def _margins(self) -> dict[tuple[int, int], int]:
        """Return the track of every node that has edges in a margin, by node and column, 0 innermost."""
        ends: dict[tuple[int, int], int] = {}
        starts: dict[tuple[int, int], int] = {}
        for source, target in self._edges:
            if self._skips(source, target):
                row = self._grid.rows[target]
                key = (source, self._column[row])
                ends[key] = max(ends.get(key, 0), row)
                starts[key] = self._start_row(source, target)
        tracks: dict[tuple[int, int], int] = {}
        for key in sorted(ends, key=lambda key: (ends[key] - starts[key], key)):
            beside = {
                tracks[other]
                for other in tracks
                if other[1] == key[1] and starts[other] < ends[key] and starts[key] < ends[other]
            }
            tracks[key] = next(track for track in range(len(ends) + 1) if track not in beside)
        return tracks

    def _lefts(self) -> list[float]:
        """Return the left edge of every column's first lane, and the width of all."""
        lefts: list[float] = []
        edge = 0.0
        for column in range(len(self._breaks) - 1):
            tracks = [track for (_, place), track in self._tracks.items() if place == column]
            margin = (max(tracks) + 1) * TRACK + 2 * CORNER if tracks else 0.0
            lanes = [
                lane
                for row, lane in self._grid.taken
                if row < len(self._column) and self._column[row] == column
            ]
            lefts.append(edge + margin)
            wide = (max(lanes) + 1) * (BOX_WIDTH + LANE_GAP) - LANE_GAP
            edge = lefts[-1] + wide + COLUMN_GAP
        return [*lefts, edge - COLUMN_GAP]

    def _route(self, source: int, target: int) -> Route:
        grid = self._grid
        row, lane = grid.rows[target], grid.lanes[target]
        middle = self._x(row, lane) + BOX_WIDTH / 2
        if self._skips(source, target):
            return self._margin_route(source, target)
        if self._column[grid.rows[source]] != self._column[row]:
            start = (self._x(row, 0) + BOX_WIDTH / 2, self._y(row) - ROW_GAP)
        else:
            start = (
                self._x(grid.rows[source], grid.lanes[source]) + BOX_WIDTH / 2,
                self._y(grid.rows[source]) + grid.heights[source],
            )
        top = self._y(row)
        if start[0] == middle:
            return Route((start, (middle, top)), curved=False)
        if grid.rows[target] == grid.rows[source] + 1 or self._column[grid.rows[source]] != self._column[row]:
            return Route((start, self._landing(source, target)), curved=True)
        if grid.lanes[source] > 0:
            bend = (start[0], top - ROW_GAP)
            return Route((start, bend, self._landing(source, target)), curved=True)
        bend = (middle, start[1] + ROW_GAP)
        return Route((start, bend, (middle, top)), curved=True)

    def _landing(self, source: int, target: int) -> Point:
        """Return where on the target's top an edge from another lane arrives, beside the one from above."""
        row, lane = self._grid.rows[target], self._grid.lanes[target]
        aside = self._grid.lanes[source] - lane
        return (
            self._x(row, lane) + BOX_WIDTH / 2 + max(-80, min(80, 26 * aside)) * (lane == 0),
            self._y(row),
        )

    def _margin_route(self, source: int, target: int) -> Route:
        """Return a way out to the left, down the margin and back in."""
        grid = self._grid
        row = grid.rows[target]
        column = self._column[row]
        x = self._left[column] - CORNER - (self._tracks[source, column] + 1) * TRACK + TRACK / 2
        if self._column[grid.rows[source]] != column:
            y = self._y(row - (row - self._breaks[column])) - ROW_GAP
            start = (self._left[column] + BOX_WIDTH / 2, y)
        else:
            start = (self._left[column], self._y(grid.rows[source]) + grid.heights[source] * 0.7)
        if grid.lanes[target] == 0:
            arrivals = [s for s, t in self._edges if t == target and self._skips(s, t)]
            share = (arrivals.index(source) + 1) / (len(arrivals) + 1)
            end = (self._left[column], self._y(row) + grid.heights[target] * (0.05 + 0.6 * share))
            return Route((start, (x, start[1]), (x, end[1]), end), curved=False)
        above = self._y(row) - ROW_GAP / 2
        end = (self._x(row, grid.lanes[target]) + BOX_WIDTH / 2, self._y(row))
        return Route((start, (x, start[1]), (x, above), (end[0], above), end), curved=False)

    def _connector(self, column: int) -> Route:
        """Return the way from the bottom of a column to the top of the next."""
        row = self._breaks[column]
        last = next(node for node, place in enumerate(self._grid.rows) if place == row - 1)
        low = self._y(row - 1) + self._grid.heights[last]
        start = (self._left[column - 1] + BOX_WIDTH / 2, low)
        tracks = [track for (_, place), track in self._tracks.items() if place == column]
        margin = (max(tracks) + 1) * TRACK + 2 * CORNER if tracks else 0.0
        x = self._left[column] - margin - COLUMN_GAP / 2
        high = self._y(row) - ROW_GAP
        end = (self._left[column] + BOX_WIDTH / 2, high)
        down = self._end(row - 1) + ROW_GAP / 2
        return Route((start, (start[0], down), (x, down), (x, high), end), curved=False, arrow=False)
