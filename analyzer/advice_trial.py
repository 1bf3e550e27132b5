"""A changed network, really changed, traced and held against all constraints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor, nn

from cifar_report.analyzer import metrics
from cifar_report.analyzer.advice_edits import (
    Change,
    Edit,
    Settings,
    applied,
    arguments,
    describe,
    swapped,
    working_copy,
)
from cifar_report.analyzer.advice_graph import Network
from cifar_report.analyzer.advice_heads import fixed_pooling
from cifar_report.analyzer.analysis import Analysis, InputSpec
from cifar_report.analyzer.assemble import analyze
from cifar_report.analyzer.constraints import Verdict, judge
from cifar_report.analyzer.errors import ModelError
from cifar_report.analyzer.expression import Constraint

Figures = Mapping[str, float | None]
"""By metric; None is unknown."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What a changed network came to."""

    edits: tuple[Edit, ...]
    changes: tuple[Change, ...]
    """One per layer."""
    texts: tuple[str, ...]
    """The changes in words."""
    verdicts: tuple[Verdict, ...]
    figures: Figures
    """Of every metric that a constraint names, and of `params` and `macs`."""


class Bench:
    """A working copy of a network on which changes are tried.

    Args:
        network: the user's; it is copied, never changed.
        analysis: of it.
        constraints: all that the changed network is held against.
        inputs: what it is analysed with.
    """

    def __init__(
        self,
        network: nn.Module,
        analysis: Analysis,
        constraints: Sequence[Constraint],
        inputs: Sequence[InputSpec],
    ) -> None:
        self.network = Network(working_copy(network), analysis)
        self.constraints = tuple(constraints)
        self.inputs = tuple(inputs)
        self.values = analysis.rung == "real"
        """Whether the network asks for values; new layers get some then."""
        self.base = self._trial((), (), analysis)
        self.traces = 0
        """Changed networks that were traced."""

    def attempt(self, edits: Sequence[Edit], changes: tuple[Change, ...] | None) -> Trial | None:
        """Return what becomes of the network.

        Args:
            edits: what to try.
            changes: the same, a change per layer.

        Returns:
            None where the edits contradict each other, or the network breaks.
        """
        if changes is None:
            return None
        self.traces += 1
        try:
            if any(edit.resizes for edit in edits):
                changes = self._following(changes)
            analysis = self.trace(changes)
        except (ModelError, ValueError, RuntimeError):  # torch refuses the layer, or the network the change
            return None
        if Network(self.network.module, analysis).output_shape != self.network.output_shape:
            return None
        return self._trial(tuple(edits), changes, analysis)

    def trace(self, changes: Iterable[Change]) -> Analysis:
        """Analyse the changed network.

        Raises:
            ModelError: it can't be run.
        """
        with applied(self.network.module, changes, values=self.values):
            return analyze(self.network.module, inputs=self.inputs, only=self.network.analysis.rung)

    @contextmanager
    def changed(self, trial: Trial) -> Iterator[Network]:
        """Let the working copy be a trial's network while it is entered, to look for further edits."""
        with applied(self.network.module, trial.changes, values=self.values):
            analysis = analyze(self.network.module, inputs=self.inputs, only=self.network.analysis.rung)
            yield Network(self.network.module, analysis)

    def found(self, trial: Trial, module: nn.Module, analysis: Analysis) -> Trial | None:
        """Return what a network that was to be like a trial is; None where it doesn't hold everything."""
        if Network(module, analysis).output_shape != self.network.output_shape:
            return None
        made = replace(
            trial, verdicts=judge(self.constraints, analysis), figures=_figures(self.constraints, analysis)
        )
        with applied(self.network.module, trial.changes, values=self.values):
            wanted = _signature(self.network.module)
        if _signature(module) != wanted:
            made = replace(made, texts=_differences(self.network.module, module))
        return made if self.holds(made) else None

    def holds(self, trial: Trial) -> bool:
        """Return whether nothing is missed any more, and nothing that was met is lost."""
        return all(
            new.state == "met" or (new.state == old.state != "not met")
            for old, new in zip(self.base.verdicts, trial.verdicts, strict=True)
        )

    def _trial(self, edits: tuple[Edit, ...], changes: tuple[Change, ...], analysis: Analysis) -> Trial:
        texts = tuple([describe(change, self.network.modules[change.path]) for change in changes])
        verdicts = judge(self.constraints, analysis)
        return Trial(edits, changes, texts, verdicts, _figures(self.constraints, analysis))

    def _following(self, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        """Return changes with what has to follow the size of the map: fixed pools, layers on a flat map."""
        known = {change.path for change in changes}
        changes += tuple([c for c in fixed_pooling(self.network) if c.path not in known])
        heads = [(path, layer) for _, path, layer, _ in self.network.flat_heads() if path not in known]
        if not heads:
            return changes
        seen: dict[str, int] = {}
        gauges = {path: _Gauge(layer.out_features, partial(seen.__setitem__, path)) for path, layer in heads}
        with swapped(self.network.module, gauges):
            self.trace(changes)
        sizes = [(path, seen.get(path, layer.in_features), layer.in_features) for path, layer in heads]
        following = [Change(path, (("in_features", new),)) for path, new, old in sizes if new != old]
        return (*changes, *following)


class _Gauge(nn.Module):
    """Takes a linear layer's place and tells what it is given."""

    def __init__(self, units: int, tell: Callable[[int], None]) -> None:
        super().__init__()
        self.units = units
        self.tell = tell  # a trace puts a module's own attributes back

    def forward(self, flat: Tensor) -> Tensor:
        """Return `(N, units)` for `(N, anything)`."""
        self.tell(flat.shape[-1])
        return flat[..., :1].expand(*flat.shape[:-1], self.units)


def _signature(network: nn.Module) -> dict[str, str]:
    """Return what every module of a network prints of itself."""
    return {path: f"{type(m).__name__}({m.extra_repr()})" for path, m in network.named_modules()}


def _differences(old: nn.Module, new: nn.Module) -> tuple[str, ...]:
    """Return what differs between two networks, a line for each module."""
    before, after = _signature(old), _signature(new)
    modules, others = dict(old.named_modules()), dict(new.named_modules())
    lines = []
    for path, text in after.items():
        if path not in before:
            lines.append(f"{path}: {text} is new")
        elif text != before[path]:
            settings = _changed_settings(modules[path], others[path])
            made = describe(Change(path, settings), modules[path])
            lines.append(made if settings else f"{path}: {before[path]} becomes {text}")
    return tuple(lines)


def _changed_settings(old: nn.Module, new: nn.Module) -> Settings:
    """Return the arguments that differ between two layers of one type."""
    if type(old).__name__ != type(new).__name__:
        return ()
    before = arguments(old)
    return tuple([(name, value) for name, value in arguments(new).items() if value != before.get(name)])


def _figures(constraints: Iterable[Constraint], analysis: Analysis) -> Figures:
    found: dict[str, float | None] = {}
    for name in ("params", "macs"):
        found[name] = metrics.read(name, analysis, {}).value
    for constraint in constraints:
        choice: Constraint | None = constraint
        while choice:
            if choice.metric not in metrics.TRAINED:
                found[choice.metric] = metrics.read(choice.metric, analysis, {}).value
            choice = choice.otherwise
    return found
