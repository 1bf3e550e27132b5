"""The plain residual network against the assignment that it was built for, and against autograd."""

from __future__ import annotations

import torch

from cifar_report.analyzer import analyze
from cifar_report.analyzer.assignments import load_assignment
from cifar_report.analyzer.constraints import judge, parse_constraint
from cifar_report.models import registry


def test_every_structural_constraint_of_the_late_assignment_is_met() -> None:
    constraints = [parse_constraint(text) for text in load_assignment("eva6-s7-late").constraints]
    verdicts = judge(constraints, analyze(registry.build("residual")), {})
    assert {verdict.state for verdict in verdicts} == {"met", "not measured"}
    waiting = [verdict.constraint for verdict in verdicts if verdict.state == "not measured"]
    assert all(text.startswith(("augmentation", "test_accuracy")) for text in waiting)


def test_its_field_is_the_one_that_gradients_show() -> None:
    network = registry.build("residual").eval()
    for parameter in network.parameters():
        torch.nn.init.uniform_(parameter, 0.5, 1.0)
    image = torch.zeros(1, 3, 160, 160, requires_grad=True)
    maps = network.get_submodule("scores")(
        network.get_submodule("level3")(
            network.get_submodule("level2")(network.get_submodule("level1")(image))
        )
    )
    maps[0, 0, 20, 20].backward()
    assert image.grad is not None
    seen = image.grad[0].abs().sum(0) > 0
    size = tuple(int(seen.any(dim).sum()) for dim in (1, 0))
    assert size == analyze(network, (3, 160, 160)).totals.receptive_field.before_gap.size == (59, 59)
