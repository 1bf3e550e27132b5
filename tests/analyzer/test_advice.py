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
from cifar_report.analyzer.advice_search import Budget
from cifar_report.analyzer.constraints import Verdict, judge, parse_constraint
from cifar_report.analyzer.load import LoadedModel, load_model
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
