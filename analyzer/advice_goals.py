"""Which edits could move which figure, in which direction, and which of them are worth a trace."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from math import prod
from typing import Any

from torch import nn

from cifar_report.analyzer import advice_convolutions as convolutions
from cifar_report.analyzer import advice_heads as heads
from cifar_report.analyzer.advice_edits import Change, Edit, Recipe, arguments
from cifar_report.analyzer.advice_graph import Network, jump
from cifar_report.analyzer.expression import Constraint
from cifar_report.analyzer.metrics import TRAINED

PER_KIND = 14
"""Edits of one kind that are traced for one goal."""

_COSTS = ("params", "trainable_params", "macs", "flops", "dmas", "elementwise")


@dataclass(frozen=True, slots=True)
class Goal:
    """A figure that has to move."""

    metric: str
    up: bool
    need: float
    """By how much."""


def goals_of(constraint: Constraint, figures: Mapping[str, float | None]) -> Iterator[Goal]:
    """Yield what would meet a constraint; a choice has several."""
    choice: Constraint | None = constraint
    while choice:
        value = figures.get(choice.metric)
        if isinstance(choice.bound, float) and choice.metric not in TRAINED and value is not None:
            up = choice.op in (">", ">=") or (choice.op in ("==", "!=") and value <= choice.bound)
            step = 1 if choice.op in ("<", ">", "!=") else 0
            yield Goal(choice.metric, up, abs(choice.bound - value) + step)
        choice = choice.otherwise


def edits_for(goal: Goal, network: Network) -> Iterator[Edit]:
    """Yield the edits that may help a goal, best first of each kind, one of each kind at a time."""
    by_kind: dict[str, list[Edit]] = {}
    for edit in _edits(goal, network):
        by_kind.setdefault(edit.kind, []).append(edit)
    chosen = [_choose(edits, goal, network) for edits in by_kind.values()]
    for row in zip_longest(*chosen):
        yield from (edit for edit in row if edit is not None)


def _edits(goal: Goal, network: Network) -> Iterator[Edit]:
    metric, up = goal.metric, goal.up
    if metric in _COSTS:
        return _more_cost(network) if up else _less_cost(network, metric)
    if metric in ("rf", "rf.before_gap"):
        return _field(network, up)
    if metric.startswith("layers("):
        return _layers(network, metric.removeprefix("layers(").removesuffix(")"), up)
    if strided := re.fullmatch(r"downsampling\.strided_(\d+)x\1", metric):
        return _strided(network, up, int(strided[1]))
    if metric == "dilated":
        return chain(convolutions.dilations(network, more=up), _dilated_separables(network) if up else ())
    if metric == "depthwise_separable" and up:
        return chain(convolutions.lone_depthwise(network), convolutions.separables(network),
                     _dilated_separables(network))  # fmt: skip
    if metric == "gap" and up:
        return heads.average_heads(network)
    if metric == "fc_after_gap" and not up:
        return heads.heads_before_average(network)
    if metric in ("max_pool", "avg_pool", "downsampling.max_pool", "downsampling.avg_pool"):
        return _pools(network, metric.removeprefix("downsampling."), up)
    if metric in ("downsampling", "blocks", "strided_conv"):
        return _transitions(network, up)
    if metric == "downsampling.dilated":
        return convolutions.paddings(network, more=not up)
    return iter(())


def _dilated_separables(network: Network) -> Iterator[Edit]:
    for dilation in (2, 3):
        yield from convolutions.separables(network, dilation=dilation)


def _less_cost(network: Network, metric: str) -> Iterator[Edit]:
    yield from convolutions.separables(network)
    yield from convolutions.narrower_separables(network)
    yield from convolutions.widths(network, wider=False)
    yield from convolutions.groupings(network)
    yield from heads.average_heads(network)
    yield from heads.heads_before_average(network)
    yield from heads.linear_widths(network)
    yield from heads.linear_removals(network)
    yield from convolutions.removals(network)
    yield from convolutions.kernels(network, larger=False)
    if metric not in ("params", "trainable_params"):
        yield from convolutions.strides(network, more=True)


def _more_cost(network: Network) -> Iterator[Edit]:
    yield from convolutions.widths(network, wider=True)
    yield from convolutions.additions(network)
    yield from convolutions.kernels(network, larger=True)


def _field(network: Network, up: bool) -> Iterator[Edit]:
    yield from convolutions.dilations(network, more=up)
    yield from convolutions.kernels(network, larger=up)
    yield from convolutions.strides(network, more=up)
    yield from convolutions.additions(network) if up else convolutions.removals(network)
    if up:
        yield from heads.average_heads(network)


def _layers(network: Network, kind: str, up: bool) -> Iterator[Edit]:
    if up:
        yield from convolutions.followers(network, kind)
        return
    if kind == "Linear":
        yield from heads.linear_removals(network)
        yield from heads.average_heads(network)
        yield from heads.heads_before_average(network)
    elif kind == "Conv2d":
        yield from convolutions.removals(network)
    elif kind in ("MaxPool2d", "AvgPool2d"):
        yield from _pools(network, "max_pool" if kind == "MaxPool2d" else "avg_pool", up)
    else:
        yield from heads.layer_removals(network, kind)


def _strided(network: Network, up: bool, kernel: int) -> Iterator[Edit]:
    if up:
        yield from heads.strided_for_pools(network, kernel)
    yield from convolutions.strides(network, more=up)


def _pools(network: Network, kind: str, up: bool) -> Iterator[Edit]:
    if up:
        yield from heads.pools_after(network, kind)
        return
    yield from heads.pools_to_convolutions(network, kind)
    if kind == "max_pool":
        yield from heads.pools_to_averages(network)
    yield from heads.without_pools(network, kind)


def _transitions(network: Network, up: bool) -> Iterator[Edit]:
    yield from convolutions.strides(network, more=up)
    if up:
        yield from heads.strided_for_pools(network, 3)
    else:
        yield from heads.without_pools(network, "max_pool")
        yield from heads.without_pools(network, "avg_pool")


def _choose(edits: Sequence[Edit], goal: Goal, network: Network) -> list[Edit]:
    """Return the edits worth tracing: what just suffices, what does most, what changes and costs least."""
    if len(edits) <= PER_KIND:
        return list(edits)
    more = {id(edit): _more_parameters(edit, network) for edit in edits}
    gain = {id(edit): _gain(edit, goal, network, more[id(edit)]) for edit in edits}
    enough = [edit for edit in edits if gain[id(edit)] >= goal.need]
    orders = (
        sorted(enough, key=lambda edit: (gain[id(edit)], abs(more[id(edit)]))),
        sorted(edits, key=lambda edit: -gain[id(edit)]),
        sorted(edits, key=lambda edit: abs(more[id(edit)])),
        sorted(edits, key=lambda edit: more[id(edit)]),
    )
    ranked = (edit for row in zip_longest(*orders) for edit in row if edit is not None)
    return list({id(edit): edit for edit in ranked}.values())[:PER_KIND]


def _gain(edit: Edit, goal: Goal, network: Network, more: int) -> float:
    """Return about how much an edit does for a goal, without tracing it."""
    if goal.metric in _COSTS:
        return more if goal.up else -more
    if goal.metric.startswith("rf"):
        wider = sum(_wider_field(change, network) for change in edit.changes)
        return wider if goal.up else -wider
    return 1


def _more_parameters(edit: Edit, network: Network) -> int:
    """Return how many parameters an edit adds, by the layers' arguments."""
    found = 0
    for change in edit.changes:
        layer = network.modules[change.path]
        old = arguments(layer)
        kept = _parameters(type(layer).__name__, {**old, **dict(change.settings)}) if change.keep else 0
        added = sum(_parameters_of(recipe) for recipe in (*change.before, *change.after))
        found += kept + added - _parameters(type(layer).__name__, old)
    return found


def _parameters_of(recipe: Recipe) -> int:
    names = {
        "Conv2d": ("in_channels", "out_channels", "kernel_size"),
        "Linear": ("in_features", "out_features"),
    }
    settings = dict(zip(names.get(recipe.kind, ("num_features",)), recipe.args, strict=False))
    return _parameters(recipe.kind, {"groups": 1, "bias": True, **settings, **dict(recipe.options)})


def _parameters(kind: str, settings: Mapping[str, Any]) -> int:
    """Return the parameters of a layer with these arguments; 0 for one that has none."""
    if kind == "Conv2d":
        size = settings["kernel_size"]
        kernel = prod(size) if isinstance(size, tuple) else size * size
        inside = settings["in_channels"] // settings["groups"]
        return int(settings["out_channels"] * (inside * kernel + settings["bias"]))
    if kind == "Linear":
        return int(settings["out_features"] * (settings["in_features"] + settings["bias"]))
    return int(2 * settings.get("num_features", settings.get("num_channels", 0))) if "Norm" in kind else 0


def _wider_field(change: Change, network: Network) -> float:
    """Return by how much a change of a convolution widens what the layers behind it see [px]."""
    layer = network.modules[change.path]
    found = [entry for entry in network.convolutions() if entry[1] == change.path]
    if not found or type(layer) is not nn.Conv2d:
        return 0
    operator = found[0][0]
    old = arguments(layer)
    new = {**old, **dict(change.settings)}
    behind = sum(2 for recipe in change.after if recipe.kind == "Conv2d" and recipe.args[2] == 3)
    wider = _extent(new) - _extent(old) if change.keep else -_extent(old)
    return wider * jump(operator, layer.stride[0]) + behind * jump(operator, 1)


def _extent(settings: dict[str, object]) -> int:
    kernel, dilation = settings["kernel_size"], settings["dilation"]
    size = kernel[0] if isinstance(kernel, tuple) else kernel
    spread = dilation[0] if isinstance(dilation, tuple) else dilation
    assert isinstance(size, int)
    assert isinstance(spread, int)
    return (size - 1) * spread
