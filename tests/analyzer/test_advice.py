"""Advice on networks that fail on purpose: applied to their source by `git apply`, and looked at anew."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch import nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.advice import Advice, Proposal, advise
from cifar_report.analyzer.advice_edits import Change, Edit, Recipe, applied, followed, merged
from cifar_report.analyzer.advice_search import Budget
from cifar_report.analyzer.constraints import Verdict, judge, parse_constraint
from cifar_report.analyzer.load import LoadedModel, load_model
from cifar_report.analyzer.load_overlay import overlaid
from tests.analyzer.failing_networks import FAILING, FUNCTIONAL, RESIDUAL, SEQUENTIAL, Failing

BUDGET = Budget(traces=200, seconds=600)
"""Counted, not timed: a slow machine finds the same."""


def loaded_from(folder: Path, text: str, neighbour: str = "") -> LoadedModel:
    (folder / "model.py").write_text(text, encoding="utf-8")
    if neighbour:
        (folder / "parts.py").write_text(neighbour, encoding="utf-8")
    return load_model(str(folder / "model.py"))


def advice_on(loaded: LoadedModel, constraints: Sequence[str], budget: Budget = BUDGET) -> Advice:
    analysis = analyze(loaded.module)
    return advise(loaded, analysis, [parse_constraint(text) for text in constraints], budget)


def verdicts_on(module: nn.Module, constraints: Sequence[str]) -> tuple[Verdict, ...]:
    return judge([parse_constraint(text) for text in constraints], analyze(module))


def states(verdicts: Sequence[Verdict]) -> list[str]:
    return [verdict.state for verdict in verdicts]


def apply(proposal: Proposal, folder: Path) -> nn.Module:
    """Apply a diff as its reader would, and load what it makes."""
    (folder / "advice.diff").write_text(proposal.diff, encoding="utf-8")
    done = subprocess.run(["git", "apply", "advice.diff"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return load_model(str(folder / "model.py")).module


@pytest.mark.parametrize("failing", FAILING, ids=lambda failing: failing.name)
def test_every_proposal_s_diff_makes_the_network_that_it_promises(
    failing: Failing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    constraints = (*failing.missed, *failing.kept)
    loaded = loaded_from(tmp_path, failing.text, failing.neighbour)
    before = verdicts_on(loaded.module, constraints)
    assert states(before) == ["not met"] * len(failing.missed) + ["met"] * len(failing.kept)

    advice = advice_on(loaded, constraints)

    assert 1 <= len(advice.proposals) <= 3
    assert all(set(states(proposal.verdicts)) == {"met"} for proposal in advice.proposals)
    assert all(bool(proposal.diff) != bool(proposal.reason) for proposal in advice.proposals)
    images = torch.rand(2, 3, 32, 32)
    with loaded.running():
        shape = loaded.module.eval()(images).shape
    written = [proposal for proposal in advice.proposals if proposal.diff]
    assert bool(written) == failing.diff
    for number, proposal in enumerate(written):
        folder = tmp_path / str(number)
        folder.mkdir()
        loaded_from(folder, failing.text, failing.neighbour)
        module = apply(proposal, folder)
        found = verdicts_on(module, constraints)
        assert states(found) == ["met"] * len(constraints)
        assert [v.measured for v in found] == [v.measured for v in proposal.verdicts]
        assert sum(p.numel() for p in module.parameters()) == proposal.params
        with load_model(str(folder / "model.py")).running():
            assert module.eval()(images).shape == shape


def test_proposals_come_cheapest_first(tmp_path: Path):
    loaded = loaded_from(tmp_path, FUNCTIONAL)
    analysis = analyze(loaded.module)
    advice = advice_on(loaded, ["params < 25k", "rf > 50"])
    costs = [
        (
            len(p.edits),
            abs(p.params - analysis.totals.params),
            abs((p.macs or 0) - (analysis.totals.macs or 0)),
        )
        for p in advice.proposals
    ]
    assert costs == sorted(costs)
    assert len(costs) > 1


def test_the_network_and_its_file_stay_as_they_are(tmp_path: Path):
    loaded = loaded_from(tmp_path, RESIDUAL)
    printed, values = repr(loaded.module), copy.deepcopy(loaded.module.state_dict())
    parameters = [id(parameter) for parameter in loaded.module.parameters()]
    advice = advice_on(loaded, ["params < 90k"])
    assert advice.proposals
    assert repr(loaded.module) == printed
    assert [id(parameter) for parameter in loaded.module.parameters()] == parameters
    assert all(torch.equal(value, values[name]) for name, value in loaded.module.state_dict().items())
    assert (tmp_path / "model.py").read_text(encoding="utf-8") == RESIDUAL
    assert [path.name for path in tmp_path.iterdir()] == ["model.py"]


def test_a_network_without_a_file_gets_its_advice_by_the_names_of_its_layers():
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()
    )
    advice = advice_on(LoadedModel("net", network, None), ["dilated >= 1"])
    first = advice.proposals[0]
    assert first.layers == ("0 (Conv2d): dilation 1 -> 2, padding 0 -> 1",)
    assert first.diff == ""
    assert first.reason == "the network is not defined in a Python file of yours"
    assert states(first.verdicts) == ["met"]


def test_what_was_met_is_not_given_away(tmp_path: Path):
    loaded = loaded_from(tmp_path, FUNCTIONAL)
    kept = ("params == 29578", "macs == 7458816", "blocks == 3")
    before = verdicts_on(loaded.module, kept)
    advice = advice_on(
        loaded, ["dilated >= 2", *(text for text, v in zip(kept, before, strict=True) if v.state == "met")]
    )
    assert all(set(states(proposal.verdicts)) == {"met"} for proposal in advice.proposals)
    assert {proposal.params for proposal in advice.proposals} == {29_578}


def test_what_cannot_be_met_is_said_with_what_comes_nearest(tmp_path: Path):
    loaded = loaded_from(tmp_path, FUNCTIONAL)
    advice = advice_on(loaded, ["params < 100", "rf > 400"], Budget(traces=120, seconds=600))
    assert advice.proposals == ()
    assert advice.nearest is not None
    assert "not met" in states(advice.nearest.verdicts)
    assert advice.tried <= 120


def test_what_needs_training_stays_not_measured(tmp_path: Path):
    loaded = loaded_from(tmp_path, FUNCTIONAL)
    advice = advice_on(loaded, ["dilated >= 1", "test_accuracy >= 90"])
    assert states(advice.proposals[0].verdicts) == ["met", "not measured"]


def test_a_search_ends_with_its_time(tmp_path: Path):
    loaded = loaded_from(tmp_path, SEQUENTIAL)
    advice = advice_on(loaded, ["rf > 200", "params < 1k"], Budget(seconds=0))
    assert advice.proposals == ()
    assert advice.exhausted
    assert advice.tried == 0


def test_the_diff_keeps_comments_arguments_and_line_ends(tmp_path: Path):
    text = (
        "from torch import nn\r\n\r\n\r\n"
        "net = nn.Sequential(\r\n"
        "    nn.Conv2d(\r\n"
        "        3,\r\n"
        "        10,  # classes\r\n"
        "        (3),\r\n"
        "        bias=(False),  # no (bias\r\n"
        "    ),\r\n"
        "    nn.AdaptiveAvgPool2d(1),\r\n"
        "    nn.Flatten(),\r\n"
        ")"
    )
    (tmp_path / "model.py").write_bytes(text.encode())
    advice = advice_on(load_model(str(tmp_path / "model.py")), ["dilated >= 1"])
    diff = advice.proposals[0].diff
    assert "+        bias=(False), dilation=2, padding=1,  # no (bias\r\n" in diff
    changed = [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    assert len(changed) == 2


def test_a_network_that_cannot_be_copied_gets_no_advice_and_the_reason():
    class Locked(nn.Sequential):
        def __deepcopy__(self, memo: object) -> Locked:
            raise TypeError("cannot pickle '_thread.lock' object")

    network = Locked(nn.Conv2d(3, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    advice = advice_on(LoadedModel("net", network, None), ["dilated >= 1"])
    assert advice.proposals == ()
    assert "cannot pickle '_thread.lock' object" in advice.note
    assert states(advice.before) == ["not met"]


def test_two_edits_of_one_layer_are_one_change_or_contradict_each_other():
    dilated = Edit("dilation", "", (Change("conv", (("dilation", 2), ("padding", 2))),))
    narrow = Edit(
        "width", "", (Change("before", (("out_channels", 8),)), Change("conv", (("in_channels", 8),)))
    )
    larger = Edit("kernel", "", (Change("conv", (("kernel_size", 5), ("padding", 2))),))
    together = merged((dilated, narrow))
    assert together is not None
    assert Change("conv", (("dilation", 2), ("padding", 2), ("in_channels", 8))) in together
    assert merged((dilated, larger)) is None  # both want the padding


def test_an_edit_of_a_changed_network_may_change_a_layer_again_but_none_that_was_made():
    recipe = Recipe("Conv2d", (8, 8, 1))
    first = (Change("conv", (("out_channels", 8),)), Change("other", after=(recipe,)))
    again = followed(first, Edit("width", "", (Change("conv", (("out_channels", 4),)),)))
    assert again == (Change("conv", (("out_channels", 4),)), Change("other", after=(recipe,)))
    assert followed(first, Edit("width", "", (Change("other.1", (("out_channels", 4),)),))) is None


def test_layers_made_for_a_trial_have_shapes_and_no_values_and_leave_no_trace():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 4, 1))
    first = network[0]
    changes = (
        Change("0", (("out_channels", 6),)),
        Change("1", (("num_features", 6),)),
        Change("2", (("in_channels", 6),)),
    )
    with applied(network, changes, values=False):
        assert network[0].weight.shape == (6, 3, 3, 3)
        assert network[0].weight.is_meta
        assert network[1].running_mean.shape == (6,)
        assert network[2].weight.shape == (4, 6, 1, 1)
    assert network[0] is first


def test_a_file_reads_as_another_text_while_it_is_overlaid(tmp_path: Path):
    (tmp_path / "model.py").write_text("from parts import net\n", encoding="utf-8")
    parts = tmp_path / "parts.py"
    parts.write_text("from torch import nn\nnet = nn.Linear(3, 4)\n", encoding="utf-8")
    name = f"{tmp_path / 'model.py'}:net"
    with overlaid({parts.resolve(): b"from torch import nn\nnet = nn.Linear(3, 5)\n"}):
        assert load_model(name).module.out_features == 5
    assert load_model(name).module.out_features == 4
