from __future__ import annotations

import pytest
from torch import Tensor, nn

from cifar_report.analyzer import analyze


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
