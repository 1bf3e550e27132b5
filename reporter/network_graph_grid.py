"""Which row and lane a node of a network's graph lies in, and at which rows a picture may begin a new column.

The longest path runs down the first lane, branches beside it. A column may end wherever a single node feeds
everything below.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

ROW_GAP = 22
"""Between a row's highest box and the next row [px]."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows and lanes of the nodes, before they are put into columns."""

    rows: tuple[int, ...]
    lanes: tuple[int, ...]
    taken: frozenset[tuple[int, int]]
    """Cells, as row and lane, in which a box lies or an edge runs."""
    heights: tuple[float, ...]
    """Of the nodes' boxes."""

    @property
    def height(self) -> int:
        """Number of rows."""
        return max(self.rows, default=-1) + 1

    def row_heights(self) -> list[float]:
        """Return the height of every row with the gap beneath it."""
        highest = [0.0] * self.height
        for row, height in zip(self.rows, self.heights, strict=True):
            highest[row] = max(highest[row], height + ROW_GAP)
        return highest


def make_grid(heights: Sequence[float], edges: Sequence[tuple[int, int]]) -> Grid:
    """Give every node a row, one below the last that it reads, and a lane of its own in that row."""
    count = len(heights)
    sources: list[list[int]] = [[] for _ in range(count)]
    targets: list[list[int]] = [[] for _ in range(count)]
    for source, target in sorted(edges):
        sources[target].append(source)
        targets[source].append(target)
    rows = [0] * count
    for node in range(count):
        rows[node] = max((rows[source] + 1 for source in sources[node]), default=0)
    lanes = dict.fromkeys(_longest_path(rows, targets), 0)
    taken = {(rows[node], 0) for node in lanes}
    for node in range(count):
        if node in lanes:
            continue
        end = max((rows[target] for target in targets[node]), default=rows[node] + 1)
        needed = range(rows[node], max(end, rows[node] + 1))
        favourite = [lanes[source] for source in sources[node] if lanes[source] > 0]
        lane = next(
            lane
            for lane in [*favourite, *range(1, count + 1)]
            if not any((row, lane) in taken for row in needed)
        )
        lanes[node] = lane
        taken |= {(row, lane) for row in needed}
    in_order = tuple(lanes[node] for node in range(count))
    return Grid(tuple(rows), in_order, frozenset(taken), tuple(heights))


def _longest_path(rows: Sequence[int], targets: Sequence[Sequence[int]]) -> list[int]:
    """Return the nodes of a longest path, one in every row that it passes."""
    below = [0] * len(rows)
    for node in reversed(range(len(rows))):
        below[node] = max((below[target] + 1 for target in targets[node]), default=0)
    path: list[int] = []
    choice = list(range(len(rows)))
    while choice:
        node = max(choice, key=lambda node: (below[node], -node))
        path.append(node)
        choice = [target for target in targets[node] if below[target] == below[node] - 1]
    return path


def column_breaks(grid: Grid, edges: Sequence[tuple[int, int]], columns: int) -> list[int] | None:
    """Return the rows at which columns begin, and the number of rows; None if there are no such places."""
    crossing: list[set[int]] = [set() for _ in range(grid.height + 1)]
    for source, target in edges:
        for row in range(grid.rows[source] + 1, grid.rows[target] + 1):
            crossing[row].add(source)
    places = [0]
    for row in range(1, grid.height):
        single = next(iter(crossing[row])) if len(crossing[row]) == 1 else None
        if single is not None and grid.lanes[single] == 0 and grid.rows[single] == row - 1:
            places.append(row)
    places.append(grid.height)
    above = [0.0, *accumulate(grid.row_heights())]
    # best[place]: the least cost of the rows before it in so many columns, and where those columns begin.
    best: dict[int, tuple[float, list[int]]] = {0: (0.0, [0])}
    for _ in range(columns):
        step: dict[int, tuple[float, list[int]]] = {}
        for start, (cost, starts) in best.items():
            for end in places:
                total = cost + (above[end] - above[start]) ** 2
                if end > start and (end not in step or total < step[end][0]):
                    step[end] = (total, [*starts, end])
        best = step
    return best[grid.height][1] if grid.height in best else None
