"""The documents' networks against every assignment: tests/data/verdicts.md, which was written by hand."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.assignments import assignment_ids, load_assignment
from cifar_report.analyzer.constraints import Verdict, exit_code, judge, parse_constraint
from cifar_report.models import document_000, document_001, document_003, document_004
from cifar_report.models.registry import names

TEXT = (Path(__file__).parents[1] / "data" / "verdicts.md").read_text(encoding="utf-8")

NETWORKS = {
    "000": document_000.Net,
    "001": document_001.Net,
    "003": document_003.Net,
    "003 dilated": lambda: document_003.Net(dilation=2),
    "004": document_004.Net,
}


def tables() -> dict[str, list[list[str]]]:
    """Return the rows of each assignment's table, the header first."""
    found = {}
    for section in re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]:
        title, *lines = section.splitlines()
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"]
        found[title] = [rows[0], *rows[2:]]
    return found


TABLES = tables()


@cache
def analysis(network: str) -> Analysis:
    return analyze(NETWORKS[network]())


def verdicts(network: str, assignment: str) -> tuple[Verdict, ...]:
    texts = load_assignment(assignment).constraints
    return judge(map(parse_constraint, texts), analysis(network))


def test_every_assignment_and_every_network_has_its_place_in_the_table() -> None:
    assert sorted(TABLES) == list(assignment_ids())
    assert {tuple(rows[0]) for rows in TABLES.values()} == {("constraint", *NETWORKS)}
    assert {f"document_{name[:3]}" for name in NETWORKS} == {
        name for name in names() if name.startswith("document_")
    }


@pytest.mark.parametrize("assignment", TABLES)
@pytest.mark.parametrize("network", NETWORKS)
def test_a_documents_network_gets_the_verdicts_that_were_worked_out(network: str, assignment: str) -> None:
    header, *rows = TABLES[assignment]
    column = header.index(network)
    found = verdicts(network, assignment)
    cells = [[v.constraint, f"{v.state} {v.measured or ''}".strip()] for v in found]
    assert [*cells, ["exit code", str(exit_code(found))]] == [[row[0], row[column]] for row in rows]


@pytest.mark.parametrize(
    ("network", "metric", "evidence"),
    [
        ("000", "depthwise_separable", r"not block2\.0: a depthwise 3x3 convolution "
         r"without its pointwise 1x1: max_pool2d comes next"),
        ("001", "depthwise_separable", r"not conv4 \+ conv5: a 3x1 and a 1x3 convolution "
         r"are spatially separable"),
        ("003", "depthwise_separable", r"transblock2\.0\.depthwise \+ transblock2\.0\.pointwise; "
         r"convblock3\.0\.depthwise \+ convblock3\.0\.pointwise"),
        ("003", "dilated", "no layer shows it"),
        ("003 dilated", "dilated", r"transblock3\.0; transblock3\.1"),
        ("004", "depthwise_separable", "no layer shows it"),
        ("004", "dilated", r"block2\.0; block3\.0"),
        ("001", "fc_after_gap", r"classify \+ gap"),
    ],
)  # fmt: skip
def test_the_evidence_names_the_layers_that_the_documents_tables_show(
    network: str, metric: str, evidence: str
) -> None:
    (found,) = judge([parse_constraint(f"{metric} >= 1")], analysis(network))
    assert re.match(evidence, found.evidence), found.evidence


def test_the_dilated_layers_of_document_003_are_rows_33_and_34_of_its_table() -> None:
    network = document_003.Net(dilation=2)
    finished: list[str] = []
    for name, module in network.named_modules():
        if module is not network and not isinstance(module, nn.Sequential):
            module.register_forward_hook(lambda *_, name=name: finished.append(name))
    with torch.no_grad():
        network.eval()(torch.zeros(1, 3, 32, 32))
    assert finished[32:34] == ["transblock3.0", "transblock3.1"]
