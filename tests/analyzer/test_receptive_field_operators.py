"""Every kind of operator alone: what each unit of its output sees is what NaN reaches from the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from cifar_report.analyzer import analyze
from cifar_report.analyzer.analysis import InputSpec
from tests.analyzer import oracles, our_fields
from tests.analyzer.functions import Function

Forward = Callable[[Tensor], Any]


def seeded(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


EVERYWHERE = (slice(None),) * 3
INNER = (slice(None), slice(3, -3), slice(3, -3))

ORDER = torch.tensor([3, 0, 0, 5, 1])
GRID = F.affine_grid(torch.tensor([[[0.6, 0.0, 0.2], [0.0, 0.7, -0.1]]]), [1, 2, 5, 6], align_corners=False)
MASK = torch.tensor([True, False, True, True, False, False, True, False])
CAUSAL = torch.ones(9, 9).tril().bool()


def attend(x: Tensor, **options: Any) -> Tensor:
    rows = x[0]  # (C, H, W): heads, queries, features
    return F.scaled_dot_product_attention(rows, rows, rows, **options)


def write_by_index(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y[:, :, ORDER[:3]] = x[:, :, :3]
    return y


MAPS: dict[str, Forward] = {
    # views and moves
    "flip": lambda x: x.flip(2),
    "roll": lambda x: x.roll((2, -1), (2, 3)),
    "roll of the flattened map": lambda x: x.roll(3),
    "repeat": lambda x: x.repeat(1, 2, 1, 2),
    "repeat_interleave": lambda x: x.repeat_interleave(3, 3),
    "tile": lambda x: x.tile(2, 1),
    "rot90": lambda x: x.rot90(1, (2, 3)),
    "movedim": lambda x: x.movedim(1, 3),
    "diagonal": lambda x: x.diagonal(1, 2, 3),
    "tril": lambda x: x.tril(1),
    "triu": lambda x: x.triu(),
    "unfold": lambda x: F.unfold(x, (3, 2), dilation=(2, 1), stride=(1, 2)),
    "Tensor.unfold": lambda x: x.unfold(2, 3, 2),
    "Tensor.unfold twice": lambda x: x.unfold(2, 3, 2).unfold(3, 4, 4),
    "fold": lambda x: F.fold(F.unfold(x, 3, stride=2), (9, 8), 3, stride=2),
    "space to depth and back": lambda x: F.pixel_shuffle(F.pixel_unshuffle(x[:, :, :8], 2), 2),
    "hstack": lambda x: torch.hstack([x, x.flip(3)]),
    "as complex": lambda x: torch.view_as_complex(x.unflatten(3, (4, 2)).contiguous()).abs(),
    "one row, spread": lambda x: x[:, :, 3:4].expand(1, 2, 5, 8),
    "one row, added": lambda x: x + x[:, :, 3:4],
    "one row of a coarser map, added": lambda x: x + F.interpolate(x, scale_factor=2)[:, :, 5:6, :8],
    # indexing by constants
    "index a dimension": lambda x: x[:, :, ORDER],
    "index two dimensions": lambda x: x[:, :, ORDER, ORDER],
    "index far dimensions": lambda x: x[:, torch.tensor([1, 0]), :, torch.tensor([2, 3])],
    "index with a table": lambda x: x[:, :, ORDER[:4].reshape(2, 2)],
    "index with a mask": lambda x: x[:, :, :, MASK],
    "index_select": lambda x: x.index_select(3, ORDER),
    "gather": lambda x: x.gather(2, ORDER.reshape(1, 1, 5, 1).expand(1, 2, 5, 8)),
    "take_along_dim": lambda x: x.take_along_dim(ORDER.reshape(1, 1, 1, 5), 3),
    "take": lambda x: x.take(torch.tensor([5, 100, 7])),
    "write by index": write_by_index,
    "index_add": lambda x: x.index_add(3, torch.tensor([1, 1]), x[..., 5:7]),
    "index_copy": lambda x: x.index_copy(3, torch.tensor([1, 0]), x[..., 5:7]),
    "scatter": lambda x: x.scatter(2, ORDER.reshape(1, 1, 5, 1)[:, :, 2:].expand(1, 2, 3, 8), x[:, :, :3]),
    "scatter_add": lambda x: x.scatter_add(2, torch.full((1, 2, 3, 8), 7), x[:, :, :3]),
    "masked_fill": lambda x: x.masked_fill(MASK, 0.0),
    "where": lambda x: torch.where(MASK, x, torch.zeros_like(x)),
    # windows
    "lp_pool2d": lambda x: F.lp_pool2d(x, 2.0, 3, 2),
    "max_pool2d with indices": lambda x: F.max_pool2d(x, 3, 1, dilation=2, return_indices=True),
    "fractional_max_pool2d": lambda x: F.fractional_max_pool2d(
        x, 2, output_size=(5, 4), _random_samples=seeded(1, 2, 2)
    ),
    "adaptive_avg_pool2d": lambda x: F.adaptive_avg_pool2d(x, (4, 5)),
    "adaptive_max_pool2d": lambda x: F.adaptive_max_pool2d(x, (5, 3)),
    "unbatched convolution": lambda x: F.conv2d(x[0], seeded(4, 1, 3, 2), groups=2),
    "unbatched transposed convolution": lambda x: F.conv_transpose2d(x[0], seeded(2, 3, 3, 3), stride=2),
    "unbatched pool": lambda x: F.avg_pool2d(x[0], 3, 2),
    "1d on rows": lambda x: F.conv1d(x[:, 0], seeded(4, 9, 3)),
    "3d": lambda x: F.conv3d(x[:, :, None], seeded(4, 2, 1, 3, 2), stride=(1, 2, 1)),
    # mixing
    "mean": lambda x: x.mean(2),
    "variance": lambda x: x.var((1, 3)),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=3),
    "normalize": lambda x: F.normalize(x, dim=2),
    "softmax": lambda x: x.softmax(3),
    "cumsum": lambda x: x.cumsum(2),
    "cumprod": lambda x: x.cumprod(3),
    "logcumsumexp": lambda x: x.logcumsumexp(2),
    "layer_norm": lambda x: F.layer_norm(x, (8,)),
    "instance_norm": lambda x: F.instance_norm(x),
    "local_response_norm": lambda x: F.local_response_norm(x, 3),
    "glu": lambda x: F.glu(x, 3),
    "glu over channels": lambda x: F.glu(x, 1),
    "prelu": lambda x: F.prelu(x, seeded(2)),
    "einsum": lambda x: torch.einsum("bchw,cd,wv->bdhv", x, seeded(2, 3), seeded(8, 5)),
    "einsum over rows": lambda x: torch.einsum("bchw,bcvw->bhv", x, x),
    "matmul": lambda x: x @ x.transpose(2, 3),
    "tensordot": lambda x: torch.tensordot(x, seeded(8, 4), ([3], [0])),
    "baddbmm": lambda x: torch.baddbmm(x[0], seeded(2, 9, 9), x[0]),
    "addmv": lambda x: torch.mv(x[0, 0], seeded(8)),
    "outer": lambda x: torch.outer(x[0, 0, 0], x[0, 1, :, 3]),
    "bilinear": lambda x: F.bilinear(x, x.flip(2), seeded(3, 8, 8)),
    "cdist": lambda x: torch.cdist(x, x + 1),
    "cosine_similarity": lambda x: F.cosine_similarity(x, x.flip(2), dim=3),
    "kron": lambda x: torch.kron(x[0, 0], seeded(2, 2)),
    "diff": lambda x: x.diff(dim=2),
    "a gate": lambda x: x * x.mean((2, 3), keepdim=True).sigmoid(),
    "convolution by live weights": lambda x: F.conv2d(seeded(1, 2, 6, 6), x[:, :, :3, :3]),
    "convolution of and by the image": lambda x: F.conv2d(x, x[:, :, :3, :3]),
    "linear with live weights": lambda x: F.linear(x, x[0, 0]),
    "batch norm with a live scale": lambda x: F.batch_norm(
        x, torch.zeros(2), torch.ones(2), x[0, :, 0, 0], torch.zeros(2)
    ),
    "layer norm with a live scale": lambda x: F.layer_norm(x, (8,), x[0, 0, 0]),
    "fft": lambda x: torch.fft.fft(x, dim=3).abs(),
    "rfft2 and back": lambda x: torch.fft.irfft2(torch.fft.rfft2(x), s=(9, 8)),
    "fftshift": lambda x: torch.fft.fftshift(x, dim=2),
}

INTERPOLATIONS: dict[str, Forward] = {
    "nearest to a size": lambda x: F.interpolate(x, (5, 13)),
    "nearest-exact": lambda x: F.interpolate(x, (7, 11), mode="nearest-exact"),
    "nearest by a scale": lambda x: F.interpolate(x, scale_factor=(1.7, 0.6)),
    "bilinear by a scale": lambda x: F.interpolate(x, scale_factor=1.7, mode="bilinear"),
    "bilinear with aligned corners": lambda x: F.interpolate(x, (6, 15), mode="bilinear", align_corners=True),
    "bilinear, recomputed": lambda x: F.interpolate(
        x, scale_factor=1.7, mode="bilinear", recompute_scale_factor=True
    ),
    "bicubic": lambda x: F.interpolate(x, (5, 13), mode="bicubic"),
    "area": lambda x: F.interpolate(x, (5, 3), mode="area"),
    "bilinear, antialiased": lambda x: F.interpolate(x, (4, 13), mode="bilinear", antialias=True),
    "bicubic, antialiased": lambda x: F.interpolate(x, (4, 5), mode="bicubic", antialias=True),
    "grid_sample with a constant grid": lambda x: F.grid_sample(
        x, GRID.double().expand(len(x), -1, -1, -1), align_corners=False
    ),
}

PADDED: dict[str, Forward] = {
    "zeros": lambda x: F.conv2d(F.pad(x, (1, 2, 0, 1)), seeded(1, 2, 3, 3)),
    "reflect": lambda x: F.conv2d(F.pad(x, (1, 2, 0, 1), mode="reflect"), seeded(1, 2, 3, 3)),
    "replicate": lambda x: F.conv2d(F.pad(x, (1, 2, 0, 1), mode="replicate"), seeded(1, 2, 3, 3)),
    "circular": lambda x: F.conv2d(F.pad(x, (1, 2, 0, 1), mode="circular"), seeded(1, 2, 3, 3)),
    "same": lambda x: F.conv2d(x, seeded(1, 2, 4, 3), padding="same"),
    "unfold": lambda x: F.unfold(x, 3, padding=1).unflatten(2, (9, 8)),
    "fold": lambda x: F.fold(F.unfold(x, 3, padding=1), (9, 8), 3, padding=1),
    "average without its padding": lambda x: F.avg_pool2d(x, 3, 1, 1, count_include_pad=False),
}


@pytest.mark.parametrize("name", MAPS)
def test_units_see_what_nan_reaches(name: str) -> None:
    check(Function(MAPS[name]), (2, 9, 8), ...)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", PADDED)
def test_inner_units_of_padded_maps_see_what_nan_reaches(name: str) -> None:
    check(Function(PADDED[name]), (2, 9, 8), (slice(None), slice(2, -3), slice(2, -3)))


SEQUENCES: dict[str, nn.Module] = {
    "lstm": nn.LSTM(3, 4, batch_first=True),
    "two layers of gru": nn.GRU(3, 4, 2, batch_first=True),
    "rnn": nn.RNN(3, 4, batch_first=True),
    "relu rnn": nn.RNN(3, 4, nonlinearity="relu", batch_first=True),
    "bidirectional lstm": nn.LSTM(3, 4, batch_first=True, bidirectional=True),
    "bidirectional gru of two layers": nn.GRU(3, 4, 2, batch_first=True, bidirectional=True),
    "lstm with projection": nn.LSTM(3, 4, batch_first=True, proj_size=2),
}


class Recurrent(nn.Module):
    """(B, C, T) to features per time step."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Any:
        return self.layer(x.transpose(1, 2))[0]


class LastState(Recurrent):
    def forward(self, x: Tensor) -> Any:
        state = self.layer(x.transpose(1, 2))[1]
        return (state[0] if isinstance(state, tuple) else state).transpose(0, 1)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("network", [Recurrent, LastState])
@pytest.mark.parametrize("name", SEQUENCES)
def test_recurrent_layers_see_everything_before_and_bidirectional_ones_all(name: str, network: Any) -> None:
    check(network(SEQUENCES[name]), (3, 7), ...)


LINES: dict[str, Forward] = {
    "conv1d": lambda x: F.conv1d(x, seeded(4, 3, 3), dilation=2),
    "conv_transpose1d": lambda x: F.conv_transpose1d(x, seeded(3, 2, 3), stride=2),
    "max_pool1d": lambda x: F.max_pool1d(x, 3, 2),
    "avg_pool1d": lambda x: F.avg_pool1d(x, 2),
    "adaptive_avg_pool1d": lambda x: F.adaptive_avg_pool1d(x, 4),
    "adaptive_max_pool1d": lambda x: F.adaptive_max_pool1d(x, 4),
    "lp_pool1d": lambda x: F.lp_pool1d(x, 2.0, 3),
    "nearest interpolation": lambda x: F.interpolate(x, 9),
}

VOLUMES: dict[str, Forward] = {
    "conv3d": lambda x: F.conv3d(x, seeded(2, 2, 2, 3, 1), stride=(1, 2, 1)),
    "conv_transpose3d": lambda x: F.conv_transpose3d(x, seeded(2, 1, 2, 2, 2), stride=2),
    "max_pool3d": lambda x: F.max_pool3d(x, (1, 2, 2)),
    "avg_pool3d": lambda x: F.avg_pool3d(x, 2, 1),
    "adaptive_avg_pool3d": lambda x: F.adaptive_avg_pool3d(x, (2, 3, 1)),
    "nearest 3d": lambda x: F.interpolate(x, scale_factor=2),
}


@pytest.mark.parametrize("name", LINES)
def test_operators_of_one_axis(name: str) -> None:
    check(Function(LINES[name]), (3, 7), ...)


@pytest.mark.parametrize("name", VOLUMES)
def test_operators_of_three_axes(name: str) -> None:
    check(Function(VOLUMES[name]), (2, 4, 5, 3), ...)


@pytest.mark.parametrize("name", INTERPOLATIONS)
def test_interpolations_see_what_they_weigh(name: str) -> None:
    network = Function(INTERPOLATIONS[name]).double()
    inside = (slice(None), slice(2, -2), slice(2, -2)) if "cubic" in name or "bilinear" in name else ...
    for axis, found in enumerate(our_fields.bounds(network, (2, 9, 8))):
        # Floating point leaves weights of 1e-17 where a sample falls on a unit.
        rows = oracles.impulse_rows(network, (2, 9, 8), axis, above=1e-9)
        assert our_fields.differing(found, oracles.bounds_of(rows), (9, 8)[axis], inside) == []


def check(network: nn.Module, shape: tuple[int, ...], inside: Any) -> None:
    def first(output: Any) -> Tensor:
        return output[0] if isinstance(output, tuple) else output

    for axis, found in enumerate(our_fields.bounds(network, shape)):
        rows = oracles.nan_rows(network, shape, axis, first)
        expected = oracles.bounds_of(rows)
        assert rows.any(), "the oracle must see something"
        assert our_fields.differing(found, expected, shape[1 + axis], inside) == []


ATTENTION: dict[str, Forward] = {
    "plain": attend,
    "causal": lambda x: attend(x, is_causal=True),
    "masked": lambda x: attend(x, attn_mask=CAUSAL.flip(0) | torch.eye(9).bool()),
    "masked by numbers": lambda x: attend(
        x, attn_mask=torch.zeros(9, 9).masked_fill(~CAUSAL, -torch.inf).double()
    ),
    "causal, with fewer queries": lambda x: F.scaled_dot_product_attention(x[:, :, :4], x, x, is_causal=True),
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_sees_the_keys_that_it_may(name: str) -> None:
    network = Function(ATTENTION[name]).double()
    for axis, found in enumerate(our_fields.bounds(network, (2, 9, 8))):
        expected = oracles.bounds_of(oracles.jacobian_rows(network, (2, 9, 8), axis))
        # A query with one key gets that key's value, whatever it asks for.
        several = (..., slice(1, None), slice(None))
        assert our_fields.differing(found, expected, (9, 8)[axis], several) == []


def test_a_unit_put_back_by_its_index_depends_on_the_whole_window() -> None:
    def unpool(x: Tensor) -> Tensor:
        pooled, indices = F.max_pool2d(x, (3, 2), (2, 2), return_indices=True)
        return F.max_unpool2d(pooled, indices, (2, 2))

    (rows, _), (columns, _) = our_fields.bounds(Function(unpool), (2, 9, 8))
    assert rows[0, 4:6, 0].tolist() == [2, 4]  # row 4 lies in the windows from 2 and from 4
    assert columns[0, 0].tolist() == [0, 0, 2, 2, 4, 4, 6, 6]


@pytest.mark.parametrize(
    "function",
    [lambda x: x.sort(3).values, lambda x: x.topk(4, 3).values, lambda x: x.kthvalue(2, 3, True)[0]],
)
def test_sorted_units_depend_on_the_whole_line(function: Forward) -> None:
    field = analyze(Function(function), (2, 9, 8)).totals.receptive_field.output
    assert field.size == (1, 8)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.grid_sample(x, x.flatten(1)[:, :18].view(1, 3, 3, 2), align_corners=False),
        lambda x: torchvision.ops.deform_conv2d(
            x, x[:, :1].expand(1, 18, 9, 8), seeded(2, 2, 3, 3), padding=1
        ),
        lambda x: x[:, :, x[0, 0, :, 0].long()],
        lambda x: x.gather(2, x.long()),
        lambda x: torch.zeros_like(x).index_add(2, x[0, 0, :, 0].long(), x),
        lambda x: x.masked_scatter(x > 0, x),
        lambda x: torch.fft.fft2(x).real,
    ],
    ids=["grid_sample", "deform_conv2d", "index", "gather", "index_add", "masked_scatter", "fft2"],
)
def test_places_that_depend_on_the_image_may_be_anywhere(function: Forward) -> None:
    field = analyze(Function(function), (2, 9, 8)).totals.receptive_field.output
    assert field.size is not None
    assert min(field.size[0], 9) == 9


def test_tokens_see_their_neighbours() -> None:
    network = nn.Sequential(nn.Embedding(10, 4), Function(lambda x: x.transpose(1, 2)), nn.Conv1d(4, 4, 3, 2))
    analysis = analyze(network, inputs=[InputSpec((12,), "int64")])
    field = analysis.totals.receptive_field.output
    assert (field.kind, field.size, field.stride) == ("local", (3,), (2,))


def test_bags_of_tokens_see_all_of_theirs() -> None:
    network = nn.EmbeddingBag(10, 4, mode="sum")
    field = analyze(network, inputs=[InputSpec((12,), "int64")]).totals.receptive_field.output
    assert field.size == (12,)


def test_an_unknown_operator_makes_the_fields_behind_it_unknown_and_is_named() -> None:
    network = nn.Sequential(nn.Conv2d(2, 2, 3), Function(lambda x: torch.geqrf(x)[0]), nn.Conv2d(2, 2, 3))
    analysis = analyze(network, (2, 9, 8))
    fields = [layer.receptive_field for layer in analysis.layers]
    assert [(field.kind, field.size) for field in fields[:3]] == [
        ("local", (3, 3)), ("unknown", None), ("unknown", None),
    ]  # fmt: skip
    assert fields[2].cause == "geqrf in 1"
    assert analysis.totals.unknown_ops == ("geqrf in 1",)
    assert analysis.totals.macs is None


def test_a_known_field_of_unknown_cost_is_named_too() -> None:
    analysis = analyze(Function(lambda x: torch.linalg.inv(x[0, 0, :8])), (2, 9, 8))
    assert analysis.totals.receptive_field.output.size == (8, 8)
    assert analysis.totals.unknown_ops == ("linalg_inv_ex in the network itself",)


def test_products_of_the_less_usual_operators_by_hand() -> None:
    def macs(network: nn.Module, *shape: int) -> int | None:
        return analyze(network, shape).totals.macs

    # Per time step: 4 gates of 4 x (3 + 4), then of 4 x (4 + 4); twice 3 x 4 x (3 + 4) for both directions.
    assert macs(Recurrent(nn.LSTM(3, 4, 2, batch_first=True)), 3, 7) == 7 * (4 * 4 * 7 + 4 * 4 * 8)
    assert macs(Recurrent(nn.GRU(3, 4, bidirectional=True, batch_first=True)), 3, 7) == 7 * 2 * 3 * 4 * 7
    assert macs(Function(lambda x: F.bilinear(x, x, seeded(3, 8, 8))), 2, 9, 8) == 2 * 9 * 3 * 8 * 8
    assert macs(Function(lambda x: torch.einsum("bchw,wv->bchv", x, seeded(8, 5))), 2, 9, 8) == 2 * 9 * 5 * 8


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("name", [*MAPS, *PADDED, *INTERPOLATIONS])
def test_every_operator_has_a_cost(name: str) -> None:
    totals = analyze(Function({**MAPS, **PADDED, **INTERPOLATIONS}[name]), (2, 9, 8)).totals
    assert totals.unknown_ops == ()
