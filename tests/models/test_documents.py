"""The rebuilt networks against the numbers that the documents print, with hooks on real tensors.

Nothing of the analyzer takes part here: shapes come from a forward pass, counts from the parameters.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cifar_report.models.document_001 import GhostBatchNorm
from cifar_report.models.document_003 import Net as Net003
from cifar_report.models.registry import build, names

DATA = Path(__file__).parent.parent / "data"
DOCUMENTS = [name for name in names() if name.startswith("document_")]

Row = tuple[str, list[int], int]


def table(name: str) -> dict[str, Any]:
    """Return the printed numbers of a document."""
    data: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    return data


def rows_by_hooks(network: nn.Module) -> list[Row]:
    """Return (label, output shape, parameters) of each module call in order of completion."""
    rows: list[Row] = []

    def record(module: nn.Module, _: Any, output: Tensor) -> None:
        count = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        rows.append((f"{type(module).__name__}-{len(rows) + 1}", [-1, *output.shape[1:]], count))

    for module in network.modules():
        if module is not network and not isinstance(module, nn.Sequential):
            module.register_forward_hook(record)
    with torch.no_grad():
        network.eval()(torch.zeros(2, 3, 32, 32))
    return rows


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_printed_row_comes_out(name: str) -> None:
    printed = [(row["label"], row["output_shape"], row["params"]) for row in table(name)["rows"]]
    assert rows_by_hooks(build(name)) == printed


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_printed_parameter_total_comes_out(name: str) -> None:
    parameters = list(build(name).parameters())
    counts = {
        "total": sum(p.numel() for p in parameters),
        "trainable": sum(p.numel() for p in parameters if p.requires_grad),
        "non_trainable": sum(p.numel() for p in parameters if not p.requires_grad),
    }
    printed = table(name)["params"]
    assert {key: counts[key] for key in printed} == printed


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_training_step_reaches_every_trainable_parameter_and_no_other(name: str) -> None:
    torch.manual_seed(0)
    network = build(name).train()
    output = network(torch.randn(4, 3, 32, 32))
    assert output.shape == (4, 10)
    nn.functional.cross_entropy(output, torch.tensor([0, 1, 2, 3])).backward()
    for parameter_name, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, parameter_name
            assert parameter.grad.abs().sum() > 0, parameter_name
        else:
            assert parameter.grad is None, parameter_name


def test_document_003_prints_its_blocks_in_order_with_parameters_and_buffers() -> None:
    network = Net003()
    counts = {
        name: sum(tensor.numel() for tensor in (*block.parameters(), *block.buffers()))
        for name, block in network.named_children()
    }
    printed = table("document_003")["blocks"]
    assert list(counts.items()) == [(row["name"], row["params_and_buffers"]) for row in printed[1:]]
    assert [type(block).__name__ for block in network.children()] == [row["type"] for row in printed[1:]]


def test_document_003_returns_log_probabilities() -> None:
    with torch.no_grad():
        output = Net003().eval()(torch.randn(3, 3, 32, 32))
    torch.testing.assert_close(output.exp().sum(dim=1), torch.ones(3))


def test_document_003_dilated_prints_the_same_rows_with_other_kernels() -> None:
    dilated = Net003(dilation=2)
    kernels = [module.dilation for module in dilated.transblock3 if isinstance(module, nn.Conv2d)]
    assert kernels == [(2, 2), (2, 2)]
    assert rows_by_hooks(dilated) == rows_by_hooks(Net003())


def test_ghost_batch_norm_normalises_each_part_of_a_training_batch_by_itself() -> None:
    torch.manual_seed(0)
    norm = GhostBatchNorm(3, splits=2).train()
    batch = torch.randn(6, 3, 4, 4) * 5 + 2
    output = norm(batch)
    for part, source in ((output[:3], batch[:3]), (output[3:], batch[3:])):
        mean = source.mean(dim=(0, 2, 3), keepdim=True)
        variance = source.var(dim=(0, 2, 3), keepdim=True, unbiased=False)
        torch.testing.assert_close(part, (source - mean) / torch.sqrt(variance + norm.eps))


def test_ghost_batch_norm_takes_up_each_part_in_its_running_mean() -> None:
    torch.manual_seed(0)
    norm = GhostBatchNorm(3, splits=2).train()
    batch = torch.randn(6, 3, 4, 4) + 2
    norm(batch)
    first, second = (part.mean(dim=(0, 2, 3)) for part in batch.chunk(2))
    torch.testing.assert_close(norm.running_mean, 0.9 * 0.1 * first + 0.1 * second)


def test_ghost_batch_norm_in_evaluation_is_batch_norm_and_changes_nothing() -> None:
    torch.manual_seed(0)
    ghost = GhostBatchNorm(3, splits=2)
    ghost.train()(torch.randn(5, 3, 4, 4) * 3 + 1)  # five images: parts of three and two
    plain = nn.BatchNorm2d(3)
    plain.load_state_dict(ghost.state_dict())
    before = {key: value.clone() for key, value in ghost.state_dict().items()}
    batch = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(ghost.eval()(batch), plain.eval()(batch), rtol=0, atol=0)
    torch.testing.assert_close(dict(ghost.state_dict()), before, rtol=0, atol=0)


def test_ghost_batch_norm_says_how_many_parts_it_makes() -> None:
    assert repr(GhostBatchNorm(8, splits=2)).endswith("splits=2)")
