"""Advice: changes that would make a network meet what it misses, each proven before it is given.

A proposal was applied to a copy of the network, traced, and held against all constraints: what was missed is
met, what was met is still met, the output has its shape. Where its layers are found in the user's source, it
is a diff, and the changed source was loaded and analysed too, with the same verdicts. How well the changed
network would train is not known; what needs training stays not measured.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cifar_report.analyzer.advice_origin import Chain, recorded
from cifar_report.analyzer.advice_search import Budget, Found, search
from cifar_report.analyzer.advice_source import rewritten
from cifar_report.analyzer.advice_text import Unmapped
from cifar_report.analyzer.advice_trial import Bench, Trial
from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.assemble import analyze
from cifar_report.analyzer.constraints import Verdict, judge
from cifar_report.analyzer.errors import Problem
from cifar_report.analyzer.expression import Constraint
from cifar_report.analyzer.load import LoadedModel, load_model
from cifar_report.analyzer.load_overlay import overlaid

PROPOSALS = 3
VARIATIONS = 6
"""Trials of a kind that are looked at for one that the source can be changed to."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that was tried, and what came of it."""

    edits: tuple[str, ...]
    """Each decision in words."""
    layers: tuple[str, ...]
    """Each changed layer with its arguments, `conv3: dilation 1 -> 2, padding 1 -> 2`."""
    verdicts: tuple[Verdict, ...]
    """On the changed network, in the order of the constraints."""
    params: int
    macs: int | None
    diff: str = ""
    """Unified diff of the user's source; empty where the layers can't be changed there."""
    reason: str = ""
    """Why there is no diff."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What the search for changes came to."""

    before: tuple[Verdict, ...]
    proposals: tuple[Proposal, ...]
    """Cheapest first: fewest edits, then the least change of parameters, then of MACs."""
    nearest: Proposal | None
    """Where nothing holds everything, the change that misses least."""
    tried: int
    """Changed networks that were traced."""
    exhausted: bool
    """Whether the search ended for lack of time or tries, not of ideas."""
    edits: int
    """In one proposal, at most."""
    note: str = ""
    """Why nothing could be tried at all."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and tuples, ready for `json.dumps`."""
        return asdict(self)


def advise(
    loaded: LoadedModel, analysis: Analysis, constraints: Sequence[Constraint], budget: Budget | None = None
) -> Advice:
    """Look for changes that make a network meet all constraints that need no training.

    Args:
        loaded: the network; it stays as it is.
        analysis: of it.
        constraints: all that it is held against; one of them is missed.
        budget: where the search stops.

    Raises:
        UsageError: a user's own metric fails.
    """
    budget = budget or Budget()
    until = time.monotonic() + 1.3 * budget.seconds
    with loaded.running():
        try:
            bench = Bench(loaded.module, analysis, constraints, analysis.inputs)
        except Exception as error:  # a network can hold anything, and some of that can't be copied
            note = f"the network can't be copied to try changes on: {type(error).__name__}: {error}"
            return Advice(judge(constraints, analysis), (), None, 0, False, budget.steps, note)
        found = search(bench, budget)
    source = _Source(loaded, bench, until)
    proposals = [source.best(trials[:VARIATIONS]) for trials in _kinds(found)]
    missed = found.nearest
    nearest = None if missed is None else _proposal(missed, "", "it doesn't hold everything")
    return Advice(
        before=bench.base.verdicts,
        proposals=tuple(sorted(proposals, key=lambda proposal: _cost(proposal, analysis))),
        nearest=nearest,
        tried=found.traces,
        exhausted=found.exhausted,
        edits=budget.steps,
    )


def _kinds(found: Found) -> list[list[Trial]]:
    """Return what holds, by the kinds of its edits: the rest of a kind are variations on its cheapest."""
    kinds: dict[tuple[str, ...], list[Trial]] = {}
    for trial in found.held:
        kinds.setdefault(tuple(sorted(edit.kind for edit in trial.edits)), []).append(trial)
    return list(kinds.values())[:PROPOSALS]


def _proposal(trial: Trial, diff: str, reason: str) -> Proposal:
    macs = trial.figures["macs"]
    return Proposal(
        edits=tuple([edit.text for edit in trial.edits]),
        layers=trial.texts,
        verdicts=trial.verdicts,
        params=int(trial.figures["params"] or 0),
        macs=None if macs is None else int(macs),
        diff=diff,
        reason=reason,
    )


def _cost(proposal: Proposal, analysis: Analysis) -> tuple[int, ...]:
    macs = abs((proposal.macs or 0) - (analysis.totals.macs or 0))
    return len(proposal.edits), abs(proposal.params - analysis.totals.params), macs


class _Source:
    """The user's source, looked at once a proposal needs it."""

    def __init__(self, loaded: LoadedModel, bench: Bench, until: float) -> None:
        self.bench = bench
        self.until = until
        self.name, self.folder = _own_name(loaded)
        self._chains: Mapping[str, Chain] | None = None

    def best(self, trials: Sequence[Trial]) -> Proposal:
        """Return the first of several trials that the source can be changed to in time, or else the first."""
        first: Proposal | None = None
        for trial in trials:
            if first and time.monotonic() > self.until:
                break
            proposal = self.proposal(trial)
            if proposal.diff:
                return proposal
            first = first or proposal
        assert first is not None  # no kind is empty
        return first

    def proposal(self, trial: Trial) -> Proposal:
        """Return a trial with the diff that leads to it, or the reason why there is none."""
        try:
            return self._written(trial)
        except Unmapped as error:
            return _proposal(trial, "", str(error))

    def _written(self, trial: Trial) -> Proposal:
        if self.folder is None:
            raise Unmapped("the network is not defined in a Python file of yours")
        texts = rewritten(trial.changes, self.bench.network.modules, self._origins(self.folder))
        made = self._made({path: new for path, (_, new) in texts.items()}, trial)
        diffs = [_unified(path, old, new, self.folder) for path, (old, new) in sorted(texts.items())]
        return _proposal(made, "".join(diffs), "")

    def _origins(self, folder: Path) -> Mapping[str, Chain]:
        """Return where each layer is constructed; builds the network once more."""
        if self._chains is None:
            try:
                with recorded() as origins:
                    again = load_model(self.name)
            except Problem as error:
                raise Unmapped(f"the network could not be built again: {error.what}") from error
            self._chains = origins.chains(again.module, folder)
        return self._chains

    def _made(self, texts: Mapping[Path, bytes], trial: Trial) -> Trial:
        """Load the changed source and hold it against the constraints.

        Returns:
            what the source makes: the trial itself, or more of the same, where one call makes several layers.

        Raises:
            Unmapped: it doesn't load, or it doesn't hold everything.
        """
        try:
            with overlaid(texts):
                changed = load_model(self.name)
                with changed.running():
                    analysis = analyze(changed.module, inputs=self.bench.inputs)
        except Problem as error:
            raise Unmapped(f"what makes these layers makes others too, and then: {error.what}") from error
        made = self.bench.found(trial, changed.module, analysis)
        if made is None:
            raise Unmapped("what makes these layers makes others too, and then not everything is met")
        return made


def _own_name(loaded: LoadedModel) -> tuple[str, Path | None]:
    """Return how to load a network from its file, and that file's folder; None for what isn't the user's."""
    if loaded.source is None or loaded.source.suffix != ".py" or loaded.hollow:
        return loaded.name, None
    if loaded.home is not None:
        return loaded.name, loaded.home.folder.resolve()
    if "site-packages" in loaded.source.parts:
        return loaded.name, None
    return f"{loaded.source}:{type(loaded.module).__name__}", loaded.source.parent


def _unified(path: Path, old: bytes, new: bytes, folder: Path) -> str:
    """Return a diff for `patch -p1`, run here or, for a file elsewhere, in its folder."""
    here = Path.cwd()
    name = path.relative_to(here if path.is_relative_to(here) else folder).as_posix()
    before, after = (text.decode().splitlines(keepends=True) for text in (old, new))
    lines = difflib.unified_diff(before, after, f"a/{name}", f"b/{name}")
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
