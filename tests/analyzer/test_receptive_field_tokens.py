from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor, nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.field_writes import overwritten
from cifar_report.analyzer.receptive_field import RULES, compute_fields
from cifar_report.analyzer.shadow import Shadow
from cifar_report.analyzer.trace import trace_network


class Patches(nn.Module):
    """A grid of patches in a row: along the row, the height repeats once a patch row."""

    def __init__(self, mix: nn.Module) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, 16, 8, stride=8)
        self.mix = mix

    def forward(self, x: Tensor) -> Tensor:
        return self.mix(self.embed(x).flatten(2).transpose(1, 2))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.attention(tokens, tokens, tokens, need_weights=False)[0]


@pytest.mark.parametrize("mix", [Attention(), nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)])
@pytest.mark.parametrize("shape", [(3, 48, 48), (3, 32, 64), (3, 80, 40)])
def test_attention_sees_the_image_and_not_more(mix, shape):
    field = analyze(Patches(mix), shape).totals.receptive_field.output
    assert (field.kind, field.size) == ("global", shape[1:])


def test_a_token_sees_its_patch():
    field = analyze(Patches(nn.LayerNorm(16)), (3, 48, 48)).totals.receptive_field.output
    assert (field.kind, field.size) == ("local", (8, 8))


class Scored(nn.Module):
    """Attention to coarser keys, with a term added in place to all scores but a first row and column."""

    def forward(self, x: Tensor) -> Tensor:
        queries, keys = x.flatten(2), nn.functional.avg_pool2d(x, 4).flatten(2)
        scores = queries.transpose(1, 2) @ keys
        scores[:, 1:, 1:] += queries[:, :, 1:].mean(1, keepdim=True).transpose(1, 2)
        return scores


@pytest.mark.parametrize("before", [nn.Identity(), nn.Conv2d(2, 2, 3, padding=1)])
def test_scores_that_are_added_to_in_place_keep_rows_and_columns_apart(before: nn.Module) -> None:
    trace = trace_network(nn.Sequential(before, Scored()), (2, 32, 24), RULES)
    shadows = compute_fields(trace).of(trace.outputs[0])
    assert shadows is not None
    rows, columns = 32 * 24, 8 * 6
    for shadow in shadows:
        sizes = [np.size(b) for part in (shadow, *shadow.others) for b in (part.lo, part.hi)]
        assert len(sizes) == 4
        assert max(sizes) <= rows + columns


def test_writing_what_stands_there_already_changes_nothing() -> None:
    column = np.arange(6).reshape(1, 6, 1)
    old, new = Shadow(0, column), Shadow(0, column.copy())
    assert overwritten(old, new, (1, 6, 9), (1, 6, 8), 2, slice(1, 9)) is old
    other = overwritten(old, Shadow(1, column), (1, 6, 9), (1, 6, 8), 2, slice(1, 9))
    assert [int(bound) for bound in np.ravel(other.lo)] == [0] + [1] * 8
