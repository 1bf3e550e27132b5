"""The module tree over the operators: which parts there are, and what leads from one to another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Analysis, Layer, Operator


@dataclass(frozen=True, slots=True)
class Part:
    """One call of a module, or of a function outside of any leaf module, with what it called."""

    row: Layer
    children: tuple[Part, ...]
    """Those that do something: calls without any operator are left out."""

    def rows(self) -> Iterator[Layer]:
        """Yield the rows of everything in it, in order of completion."""
        waiting: list[tuple[Part, bool]] = [(self, False)]
        while waiting:
            part, ready = waiting.pop()
            if ready:
                yield part.row
            else:
                waiting.append((part, True))
                waiting.extend((child, False) for child in reversed(part.children))


@dataclass(frozen=True, slots=True)
class Group:
    """Neighbouring parts that are drawn as one."""

    parts: tuple[Part, ...]
    repeated: bool = False
    """True where all parts do the same, one after the other."""

    @classmethod
    def of(cls, groups: Iterable[Group], repeated: bool = False) -> Group:
        """Put groups together."""
        return cls(tuple(part for group in groups for part in group.parts), repeated)

    @property
    def closed(self) -> bool:
        """True where there is more in it than is shown."""
        return len(self.parts) > 1 or bool(self.parts[0].children)

    def rows(self) -> Iterator[Layer]:
        """Yield the rows of everything in it."""
        for part in self.parts:
            yield from part.rows()


def own_weights(part: Part) -> bool:
    """Tell whether a module has most of its parameters itself and not in what it calls."""
    return 2 * part.row.params > sum(row.params for row in part.rows())


class Parts:
    """All parts of a network and the tensors between them."""

    def __init__(self, analysis: Analysis, root: Part) -> None:
        self._analysis = analysis
        self._root = root
        self._operators: dict[int, list[Operator]] = {}
        for operator in analysis.operators:
            self._operators.setdefault(operator.layer, []).append(operator)
        self._links = list(_row_links(analysis))
        self.inputs = tuple(sorted({source for source, _ in self._links if source < 0}, reverse=True))
        """The network's inputs that it reads: -1, -2 ..."""

    def operators(self, row: Layer) -> list[Operator]:
        """Return what a layer without parts does, views left out unless there is nothing else."""
        own = self._operators.get(row.index, []) if row.leaf else []
        return [operator for operator in own if operator.dmas != 0] or own

    def outermost(self) -> list[Group]:
        """Return what the network calls itself."""
        return [Group((part,)) for part in self._root.children or (self._root,)]

    def kind(self, group: Group) -> tuple[int, str]:
        """Return depth and type, by which modules are opened together."""
        return group.parts[0].row.depth, group.parts[0].row.type

    def can_open(self, group: Group) -> bool:
        """Tell whether a group is one module that is told by what is in it.

        One whose parameters are mostly its own (attention reads its projections' weights itself) isn't.
        """
        return len(group.parts) == 1 and bool(group.parts[0].children) and not own_weights(group.parts[0])

    def opened(self, group: Group) -> list[Group]:
        """Return a module's parts, or the group itself if it can't be opened.

        A stage of a network is worth a node; a Sequential inside of a block is not, and is looked through.
        """
        if not self.can_open(group):
            return [group]
        part = group.parts[0]
        return [Group((inner,)) for inner in (part.children if part.row.container else _looked_through(part))]

    def examples(self, groups: Sequence[Group]) -> tuple[Group, Group]:
        """Return the first of those that are made like most of the others, and the first of the smallest."""
        made = [tuple(row.type for row in group.rows()) for group in groups]
        commonest = max(range(len(groups)), key=lambda place: made.count(made[place]))
        return groups[commonest], groups[min(range(len(groups)), key=lambda place: len(made[place]))]

    def loose(self, shown: Sequence[Group]) -> tuple[tuple[str, int], ...]:
        """Return the parameters that are held by none of the groups, but by modules around them."""
        inside = {row.index for group in shown for row in group.rows()}
        return tuple(
            (row.name, row.params) for row in self._analysis.layers if row.params and row.index not in inside
        )

    def links(self, groups: Sequence[Sequence[Group]]) -> set[tuple[int, int]]:
        """Return which group reads what, by their places; inputs are -1, -2 ..."""
        home = {
            row.index: place
            for place, members in enumerate(groups)
            for group in members
            for row in group.rows()
        }
        found = set()
        for source, target in self._links:
            start = source if source < 0 else home[source]
            if start != home[target]:
                found.add((start, home[target]))
        return found

    def follows(self, group: Group, before: Group) -> bool:
        """Tell whether a layer only changes the numbers of the map that the one before it made."""
        if group.closed:
            return False
        row = group.parts[0].row
        if row.macs == row.elementwise == row.dmas == 0:
            return True
        if before.closed:
            return False
        windows = any("kernel" in own.attributes or "pool" in own.op for own in self.operators(row))
        return row.macs == 0 and not windows and row.output_shape == before.parts[0].row.output_shape

    def repeats_closed(self, cut: Sequence[Group], wanted: Sequence[Group]) -> list[Group]:
        """Put wanted modules that follow each other and do the same into one group each.

        If that would leave none of them, the first one stays by itself.
        """
        runs = self._runs([[group] for group in cut])
        chosen = {id(group) for group in wanted}
        if all(len(run) > 1 for run in runs if id(run[0][0]) in chosen):
            first = next(place for place, run in enumerate(runs) if id(run[0][0]) in chosen)
            runs[first : first + 1] = [runs[first][:1], runs[first][1:]]
        result: list[Group] = []
        for run in runs:
            groups = [members[0] for members in run]
            alike = len(groups) > 1 and id(groups[0]) in chosen
            result += [Group.of(groups, repeated=True)] if alike else groups
        return result

    def counted(self, groups: Sequence[list[Group]]) -> list[list[Group]]:
        """Put nodes that follow each other and do the same into one each."""
        return [
            run[0] if len(run) == 1 else [Group.of((g for members in run for g in members), repeated=True)]
            for run in self._runs(groups)
        ]

    def _runs(self, groups: Sequence[list[Group]]) -> list[list[list[Group]]]:
        """Split into runs of neighbours that do the same, each reading the one before and nothing else."""
        links = self.links(groups)
        sources: dict[int, list[int]] = {}
        targets: dict[int, list[int]] = {}
        for source, target in links:
            sources.setdefault(target, []).append(source)
            targets.setdefault(source, []).append(target)
        runs: list[list[list[Group]]] = []
        before = None
        for place, members in enumerate(groups):
            does = self._does(members)
            alone = sources.get(place) == [place - 1] and targets.get(place - 1) == [place]
            if runs and does == before and alone:
                runs[-1].append(members)
            else:
                runs.append([members])
            before = does
        return runs

    def _does(self, members: Sequence[Group]) -> tuple[object, ...]:
        """Return what two nodes have in common that may be counted as one."""
        rows = [row for group in members for row in group.rows()]
        return tuple(
            (row.type, row.params, row.macs, row.input_shape, row.output_shape, self._settings(row))
            for row in rows
        )

    def _settings(self, row: Layer) -> tuple[str, ...]:
        return tuple(f"{own.op} {own.attributes}" for own in self.operators(row))


def gather(analysis: Analysis) -> Parts:
    """Build the module tree from the rows, which stand in order of completion, children first."""
    waiting: list[Part] = []
    for row in analysis.layers:
        children: list[Part] = []
        while waiting and waiting[-1].row.depth > row.depth:
            children.append(waiting.pop())
        kept = tuple(part for part in reversed(children) if part.children or _works(part.row))
        waiting.append(Part(row, kept))
    root = waiting[-1]
    return Parts(analysis, root)


def _looked_through(part: Part) -> Iterator[Part]:
    for child in part.children:
        if child.row.container and child.children and not child.row.params:
            yield from _looked_through(child)
        else:
            yield child


def _works(row: Layer) -> bool:
    return row.leaf and row.last_operator > row.first_operator


def _row_links(analysis: Analysis) -> Iterator[tuple[int, int]]:
    """Yield which row's tensor which row reads; a network's input is -1, -2 ...

    Views and the like that a module with children makes itself are no rows: they are looked through.
    """
    origin: dict[int, tuple[int, ...]] = {}
    for operator in analysis.operators:
        reads = [origin.get(source, (source,) if source < 0 else ()) for source in operator.inputs]
        row = analysis.layers[operator.layer]
        if row.leaf:
            origin[operator.index] = (row.index,)
            for sources in reads:
                yield from ((source, row.index) for source in sources if source != row.index)
        else:
            origin[operator.index] = reads[0] if reads else ()
