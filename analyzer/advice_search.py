"""The search: single edits are traced, pairs and triples are predicted from what each did, then traced.

A prediction only decides what is tried first. Nothing is proposed that was not traced as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, islice, zip_longest

from cifar_report.analyzer.advice_edits import Change, Edit, followed, merged
from cifar_report.analyzer.advice_goals import Goal, edits_for, goals_of
from cifar_report.analyzer.advice_trial import Bench, Figures, Trial
from cifar_report.analyzer.constraints import OPERATORS
from cifar_report.analyzer.expression import Constraint
from cifar_report.analyzer.metrics import TRAINED

_KINDS_WANTED = 3
"""Proposals that differ in kind, after which combinations of as many edits are no longer tried."""
_PARTNERS = {2: 150, 3: 56}
"""Edits that combinations of a size are made of."""
_FOLLOWED = 5
"""Single edits that are followed up."""
_STEPS = 16
"""Edits that are tried in turn on a changed network."""
_IN_VAIN = {True: 80, False: 12}
"""Combinations of one size that may miss in a row: those that should hold, and those that shouldn't."""

_ENOUGH = 15
"""The same, once others of the size hold."""

Cost = tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Budget:
    """How far the search goes."""

    edits: int = 3
    """In combinations that are searched."""
    steps: int = 8
    """Edits in one proposal, at most; those behind the third are added one by one to what misses least."""
    traces: int = 600
    seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Found:
    """What the search came to."""

    held: tuple[Trial, ...]
    """Changed networks that hold everything, cheapest first."""
    nearest: Trial | None
    """Where there are none, the one that misses least."""
    traces: int
    exhausted: bool
    """Whether the budget ended the search."""


def search(bench: Bench, budget: Budget) -> Found:
    """Look for edits that make a network hold all constraints.

    Args:
        bench: with the network.
        budget: where to stop.
    """
    run = _Run(bench, budget, time.monotonic())
    singles = run.singles()
    for size in range(2, budget.edits + 1):
        if not run.held:
            run.combine(singles, size)
        if not run.held and size == 2:
            run.follow_up(singles)
    if not run.held:
        run.go_further()
    held = tuple(sorted(run.held, key=lambda trial: cost(trial, bench.base)))
    nearest = min(run.missed, key=run.distance, default=None)
    exhausted = not held and not run.may_go_on(1)
    return Found(held, None if held else nearest, bench.traces, exhausted)


def cost(trial: Trial, base: Trial) -> Cost:
    """Return what a proposal costs: its edits, then how far parameters, MACs and the rest move.

    A smaller network counts as moved, too: how it would train is not known.
    """
    moves = _moves(_differences(trial.figures, base.figures), base.figures)
    return (len(trial.edits), *moves, _size(trial.edits))


def shortfall(constraint: Constraint, figures: Figures, base: Figures) -> float:
    """Return by which part of its bound figures miss a constraint; 0 where they hold it.

    What was unknown already, or needs training, doesn't count.
    """
    misses: list[float] = []
    choice: Constraint | None = constraint
    while choice:
        bound = choice.bound
        if not isinstance(bound, float) or choice.metric in TRAINED or base.get(choice.metric) is None:
            return 0
        value = figures.get(choice.metric)
        if value is None:
            misses.append(1)
        elif OPERATORS[choice.op](value, bound):
            return 0
        else:
            misses.append(max(abs(value - bound), 1e-9) / max(abs(bound), 1))
        choice = choice.otherwise
    return min(misses)


@dataclass(slots=True)
class _Run:
    bench: Bench
    budget: Budget
    start: float
    held: list[Trial] = field(default_factory=list)
    missed: list[Trial] = field(default_factory=list)

    def may_go_on(self, part: float) -> bool:
        """Return whether a part of the budget is still there."""
        seconds = time.monotonic() - self.start
        return self.bench.traces < part * self.budget.traces and seconds < part * self.budget.seconds

    def distance(self, trial: Trial) -> tuple[float, ...]:
        """Return how far a network is from holding everything: constraints missed, then by how much."""
        return (*self._missing(trial.figures), *cost(trial, self.bench.base))

    def _missing(self, figures: Figures) -> tuple[int, float]:
        base = self.bench.base.figures
        misses = [shortfall(constraint, figures, base) for constraint in self.bench.constraints]
        return sum(miss > 0 for miss in misses), sum(misses)

    def _attempt(self, edits: Sequence[Edit], changes: tuple[Change, ...] | None = None) -> Trial | None:
        trial = self.bench.attempt(edits, changes or merged(edits))
        if trial is not None:
            (self.held if self.bench.holds(trial) else self.missed).append(trial)
        return trial

    def singles(self) -> list[Trial]:
        """Trace single edits: those for what is missed, then those for what these would break."""
        base = self.bench.base.figures
        wanted = [c for c in self.bench.constraints if shortfall(c, base, base) > 0]
        goals = [goal for constraint in wanted for goal in goals_of(constraint, base)]
        trials = self._trace(goals, set(), 0.5)
        if self.held:
            return trials
        broken: dict[tuple[str, bool], Goal] = {}
        for trial in trials:
            helps = any(shortfall(c, trial.figures, base) < shortfall(c, base, base) for c in wanted)
            lost = [
                c for c in self.bench.constraints if c not in wanted and shortfall(c, trial.figures, base)
            ]
            for goal in (goal for c in lost if helps for goal in goals_of(c, trial.figures)):
                known = broken.get((goal.metric, goal.up))
                if known is None or goal.need < known.need:
                    broken[goal.metric, goal.up] = goal
        texts = {trial.edits[0].text for trial in trials}
        return trials + self._trace(list(broken.values()), texts, 0.65)

    def _trace(self, goals: Iterable[Goal], seen: set[str], part: float) -> list[Trial]:
        trials = []
        for edit in _in_turn([edits_for(goal, self.bench.network) for goal in goals]):
            if not self.may_go_on(part):
                break
            if edit.text not in seen:
                seen.add(edit.text)
                trial = self._attempt((edit,))
                trials += [trial] if trial else []
        return trials

    def combine(self, singles: Sequence[Trial], size: int) -> None:
        """Trace the combinations of a size, those first that should hold and cost least."""
        kinds: set[tuple[str, ...]] = set()
        vain = 0
        for edits, hopeful in self._predicted(singles, size):
            if not self.may_go_on(1 if size == self.budget.edits else 0.85):
                return
            before = len(self.held)
            self._attempt(edits)
            vain = 0 if len(self.held) > before else vain + 1
            if len(self.held) > before:
                kinds.add(tuple(sorted(edit.kind for edit in edits)))
            if len(kinds) >= _KINDS_WANTED or vain > (_ENOUGH if self.held else _IN_VAIN[hopeful]):
                return

    def follow_up(self, singles: Sequence[Trial]) -> None:
        """Look at the networks that single edits make, for edits that would contradict in the first one."""
        best = sorted(singles, key=self.distance)
        for trial in _varied(best, _FOLLOWED):
            if self.may_go_on(0.75):
                self._extend(trial)

    def go_further(self) -> None:
        """Add edits to the network that misses least, the best one each time."""
        while not self.held and self.missed and self.may_go_on(1):
            best = min(self.missed, key=self.distance)
            if len(best.edits) >= self.budget.steps:
                return
            self._extend(best)
            if min(self.missed, key=self.distance) is best:
                return

    def _extend(self, trial: Trial) -> None:
        """Trace what single edits make of a changed network."""
        base = self.bench.base.figures
        wanted = [c for c in self.bench.constraints if shortfall(c, trial.figures, base) > 0]
        with self.bench.changed(trial) as network:
            goals = [goal for constraint in wanted for goal in goals_of(constraint, trial.figures)]
            edits = list(islice(_in_turn([edits_for(goal, network) for goal in goals]), _STEPS))
        for edit in edits:
            changes = followed(trial.changes, edit)
            if changes is not None and self.may_go_on(1):
                self._attempt((*trial.edits, edit), changes)

    def _predicted(self, singles: Sequence[Trial], size: int) -> Iterator[tuple[tuple[Edit, ...], bool]]:
        base = self.bench.base.figures
        partners = sorted(singles, key=lambda trial: self._missing(trial.figures))
        chosen = _varied(partners, _PARTNERS.get(size, 30))
        steps = [_differences(trial.figures, base) for trial in chosen]
        sizes = [_size(trial.edits) for trial in chosen]
        ranked: list[tuple[Cost, tuple[int, ...]]] = []
        for members in combinations(range(len(chosen)), size):
            total = {name: sum(steps[i][name] for i in members) for name in base}
            figures = {name: None if old is None else old + total[name] for name, old in base.items()}
            moves = (*_moves(total, base), sum(sizes[i] for i in members))
            ranked.append(((*self._missing(figures), *moves), members))
        ranked.sort()
        for order, members in ranked:
            edits = tuple([chosen[i].edits[0] for i in members])
            if merged(edits) is not None:
                yield edits, order[0] == 0


def _varied(trials: Sequence[Trial], count: int) -> list[Trial]:
    """Return the first trials of each kind of edit in turn."""
    kinds: dict[str, list[Trial]] = {}
    for trial in trials:
        kinds.setdefault(trial.edits[0].kind, []).append(trial)
    rows = zip_longest(*kinds.values())
    return [trial for row in rows for trial in row if trial is not None][:count]


def _differences(figures: Figures, base: Figures) -> dict[str, float]:
    """Return what each figure gained; 0 where it is unknown."""
    pairs = {name: (figures.get(name), old) for name, old in base.items()}
    return {n: 0 if new is None or old is None else new - old for n, (new, old) in pairs.items()}


def _moves(gains: dict[str, float], base: Figures) -> Cost:
    """Return the parameters, the MACs and the sum of all figures by which a network moves."""
    everything = sum(abs(gain) / max(abs(base[name] or 0), 1) for name, gain in gains.items())
    return (abs(gains["params"]), abs(gains["macs"]), everything)


def _size(edits: Iterable[Edit]) -> int:
    """Return how many arguments and layers edits touch."""
    changes = [change for edit in edits for change in edit.changes]
    return sum(len(c.settings) + len(c.before) + len(c.after) for c in changes)


def _in_turn(streams: Sequence[Iterator[Edit]]) -> Iterator[Edit]:
    for row in zip_longest(*streams):
        yield from (edit for edit in row if edit is not None)
