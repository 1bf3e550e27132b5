from __future__ import annotations

import copy
import random
import warnings
from math import prod

import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.analysis import InputSpec
from cifar_report.analyzer.second_opinion import UNEXPLAINED, Row, SecondOpinion, second_opinion
from cifar_report.analyzer.second_opinion_text import markdown_table, text_table


def opinion_of(network: nn.Module, shape: tuple[int, ...] = (3, 32, 32)) -> SecondOpinion:
    return second_opinion(network, analyze(network, shape))


def row(opinion: SecondOpinion, layer: str) -> Row:
    (found,) = [row for row in opinion.rows if row.layer == layer]
    return found


class Functional(nn.Module):
    """A convolution called as a function, and one as a module."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(8, 3, 3, 3))
        self.conv = nn.Conv2d(8, 8, (3, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(F.conv2d(x, self.weight))


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(16, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        return self.attention(tokens, tokens, tokens, need_weights=False)[0]


class OnlyWithFloats(nn.Module):
    """Works outside of a jit trace only, where sizes are numbers."""

    def forward(self, x: Tensor) -> Tensor:
        if torch.jit.is_tracing():
            raise RuntimeError("not in a trace\nwith details")
        return F.relu(x)


def test_convolutions_agree_and_normalisation_and_pooling_are_theirs() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.AdaptiveAvgPool2d(1))
    opinion = opinion_of(network)
    conv, norm, pool = opinion.rows
    assert conv.macs == conv.fvcore == conv.torchscan == 8 * 30 * 30 * 3 * 9
    assert conv.reasons == ()
    # Scale and shift of every element, which both of them call multiply-accumulates.
    assert (norm.macs, norm.fvcore, norm.torchscan) == (0, 2 * 8 * 900, 2 * 8 * 900)
    assert norm.reasons == ("fvcore adds batch_norm", "torchscan adds normalisation")
    assert (pool.macs, pool.fvcore) == (0, 8 * 900)
    assert pool.reasons == ("fvcore adds adaptive_avg_pool2d", "torchscan adds pooling")


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v3_small", "swin_t", "vit_b_32", "googlenet"])
def test_every_difference_on_known_networks_is_explained(name: str) -> None:
    network = torchvision.models.get_model(name, **({"init_weights": False} if name == "googlenet" else {}))
    opinion = opinion_of(network, (3, 224, 224))
    assert [tool.failure for tool in opinion.tools] == [None, None]
    for one in opinion.rows:
        assert not any(UNEXPLAINED in reason for reason in one.reasons), one
        differs = one.macs != one.fvcore or one.macs != one.torchscan
        assert bool(one.reasons) == differs, one


@pytest.mark.parametrize("name", ["resnet18", "swin_t"])
def test_the_layers_add_up_to_the_totals_of_everybody(name: str) -> None:
    opinion = opinion_of(torchvision.models.get_model(name), (3, 224, 224))
    fvcore, torchscan = opinion.tools
    assert sum(one.macs or 0 for one in opinion.rows) == opinion.macs
    assert sum(one.fvcore or 0 for one in opinion.rows) == fvcore.macs
    assert sum(one.torchscan or 0 for one in opinion.rows) == torchscan.macs
    assert opinion.params == fvcore.params == torchscan.params


def test_torchscan_sees_no_functions_and_one_axis() -> None:
    opinion = opinion_of(Functional())
    own = row(opinion, "")
    assert own.macs == own.fvcore == 8 * 30 * 30 * 27
    assert own.torchscan is None
    assert own.reasons == ("torchscan sees no functions: conv2d",)
    conv = row(opinion, "conv")
    assert conv.macs == conv.fvcore == conv.torchscan == 8 * 28 * 30 * 8 * 3
    assert conv.torchscan_field == 3
    assert conv.receptive_field.size == (5, 3)
    assert conv.reasons == ("torchscan's field reads the first axis of 3x1 only",)


def test_transposed_convolutions_are_counted_by_input_elements() -> None:
    opinion = opinion_of(nn.Sequential(nn.ConvTranspose2d(3, 8, 2, stride=2)))
    up = row(opinion, "0")
    assert up.macs == up.fvcore == prod((3, 32, 32)) * 8 * 4
    assert up.torchscan is not None
    assert up.torchscan > 3 * up.macs
    assert "each input element" in up.reasons[0]


def test_attention_has_no_formula_with_them() -> None:
    opinion = opinion_of(Attention(), (16, 4, 4))
    (attention,) = opinion.rows
    projections = 16 * 16 * (3 * 16 + 16)
    assert attention.macs == projections + 2 * 16 * 16 * 16
    assert attention.fvcore == projections
    assert attention.reasons == (
        "fvcore has no formula for scaled_dot_product_attention",
        "torchscan has no formula for MultiheadAttention",
    )


def test_a_reused_module_counts_every_call_with_everybody() -> None:
    conv = nn.Conv2d(3, 3, 3, padding=1)
    (both,) = opinion_of(nn.Sequential(conv, conv)).rows
    assert both.macs == both.fvcore == both.torchscan == 2 * 3 * 32 * 32 * 27


def test_a_failure_of_theirs_is_shown_and_hides_nothing_of_ours() -> None:
    opinion = opinion_of(nn.Sequential(nn.Conv2d(3, 4, 3), OnlyWithFloats()))
    fvcore, torchscan = opinion.tools
    assert fvcore.failure == "RuntimeError: not in a trace"
    assert fvcore.macs is None
    assert torchscan.failure is None
    (conv,) = opinion.rows
    assert conv.macs == conv.torchscan == opinion.macs == 4 * 900 * 27
    assert conv.fvcore is None
    for text in (text_table(opinion), markdown_table(opinion)):
        assert "fvcore failed: RuntimeError: not in a trace" in text
        assert "97,200" in text


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.embedding = nn.Embedding(10, 4)

    def forward(self, image: Tensor, scale: Tensor | None = None, token: Tensor | None = None) -> Tensor:
        y = self.conv(image)
        y = y if scale is None else y * scale
        return y if token is None else y + self.embedding(token)[:, :, None, None]


def test_several_inputs_are_passed_on() -> None:
    token = InputSpec((), "int64")
    first = [(3, 8, 8), (4, 6, 6), token]
    opinion = second_opinion(Several(), analyze(Several(), inputs=first))
    assert [tool.failure for tool in opinion.tools] == [None, None]
    named = {"image": (3, 8, 8), "token": token}
    opinion = second_opinion(Several(), analyze(Several(), inputs=named))
    assert [tool.failure for tool in opinion.tools] == [
        "TypeError: it takes no arguments by keyword (image, token)", None
    ]  # fmt: skip
    assert opinion.rows[0].macs == opinion.rows[0].torchscan == 4 * 36 * 27


def test_weights_that_were_never_allocated_are_no_obstacle() -> None:
    with torch.device("meta"):
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    opinion = opinion_of(network)
    assert [tool.failure for tool in opinion.tools] == [None, None]
    assert next(network.parameters()).is_meta


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        print("running")
        warnings.warn("careful", stacklevel=1)
        return self.conv(x) + random.random()


def test_network_and_process_are_left_as_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    network = Noisy().train()
    with warnings.catch_warnings(action="ignore"):
        analysis = analyze(network, (3, 8, 8))
    capsys.readouterr()
    before = copy.deepcopy(network.state_dict())
    states = torch.get_rng_state(), random.getstate()
    opinion = second_opinion(network, analysis)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training
    assert network.conv.training
    assert not network._forward_hooks
    assert not network.conv._forward_pre_hooks
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1] == random.getstate()
    assert capsys.readouterr() == ("", "")
    assert all("running" in tool.notes for tool in opinion.tools)
    assert all("careful" in tool.notes for tool in opinion.tools)


def test_the_markdown_is_a_table_of_every_layer() -> None:
    opinion = opinion_of(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)))
    lines = markdown_table(opinion).splitlines()
    assert lines[2] == "| 0 | Conv2d | 194,400 | 194,400 | 194,400 | 3 | 3 |  |"
    assert lines[3] == "| 1 | BatchNorm2d | 0 | 14,400 | 14,400 | 3 | 1 | (1) (2) |"
    assert "- (1) fvcore adds batch_norm" in lines
