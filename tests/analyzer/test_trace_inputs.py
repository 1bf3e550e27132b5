"""Several inputs, dtypes, keywords, nested arguments, and inputs of one and three spatial axes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cifar_report.analyzer import Analysis, analyze
from cifar_report.analyzer.analysis import InputSpec
from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.analyzer.inputs import parse_input, spelled


class Two(nn.Module):
    """An image and tokens, and a mask by keyword."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.words = nn.Conv2d(3, 8, 3, padding=1), nn.Embedding(50, 8)
        self.head = nn.Linear(8, 5)

    def forward(self, image: Tensor, tokens: Tensor, *, mask: Tensor | None = None) -> Tensor:
        x = self.conv(image)
        if mask is not None:
            x = x.masked_fill(~mask, 0.0)
        return self.head(x.mean((2, 3)) + self.words(tokens).mean(1))


IMAGE, TOKENS = (3, 16, 16), InputSpec((7,), "int64")
MASK = InputSpec((1, 16, 16), "bool", "mask")


def counted(module: nn.Module, *args: Tensor, **kwargs: Tensor) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module.eval()(*args, **kwargs)
    return int(counter.get_total_flops()) // 2


def macs(analysis: Analysis) -> int:
    return sum(row.macs or 0 for row in analysis.layers)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_field_refers_to_the_image_wherever_it_stands(order: tuple[int, int]) -> None:
    class Ordered(Two):
        def forward(self, *given: Tensor) -> Tensor:
            return super().forward(*[given[place] for place in order])

    analysis = analyze(Ordered(), inputs=[(IMAGE, TOKENS)[place] for place in order])
    assert analysis.field_input == order.index(0)
    assert analysis.totals.receptive_field.output.size == (18, 18)
    assert analysis.totals.receptive_field.before_gap.size == (3, 3)
    words = next(row for row in analysis.layers if row.name == "words")
    assert words.receptive_field.size == (0, 0)
    expected = counted(Two(), torch.rand(1, *IMAGE), torch.zeros(1, 7, dtype=torch.int64))
    assert macs(analysis) == expected


def test_arguments_by_keyword() -> None:
    by_name = analyze(Two(), inputs=[IMAGE, TOKENS, MASK])
    as_dict = analyze(Two(), inputs={"image": IMAGE, "tokens": TOKENS, "mask": MASK})
    assert by_name.inputs == as_dict.inputs
    assert [spec.name for spec in by_name.inputs] == ["image", "tokens", "mask"]
    assert any(op.op == "masked_fill" for op in by_name.operators)
    assert by_name.layers == as_dict.layers


def test_inputs_survive_json_and_can_be_given_again() -> None:
    analysis = analyze(Two(), inputs=[IMAGE, TOKENS, MASK])
    again = Analysis.from_json(analysis.to_json())
    assert again == analysis
    assert again.input_shape == IMAGE
    assert analyze(Two(), inputs=list(again.inputs)).layers == analysis.layers


def test_nested_arguments_with_none_and_numbers() -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, batch: dict[str, Tensor], pair: tuple[Tensor, None], scale: float) -> Tensor:
            assert pair[1] is None
            return self.conv(batch["image"] * scale + pair[0])

    given = [{"image": IMAGE}, (InputSpec(IMAGE), None), 2.0]
    analysis = analyze(Nested(), inputs=given)
    assert [spec.name for spec in analysis.inputs] == ["batch.image", "pair.0"]
    assert analysis.totals.macs == 14 * 14 * 4 * 27


def test_tensors_are_passed_as_they_are() -> None:
    class Steps(nn.Module):
        def forward(self, x: Tensor, times: Tensor) -> Tensor:
            return F.max_pool2d(x, int(times))

    analysis = analyze(Steps(), inputs=[IMAGE, torch.tensor(4)])
    assert (analysis.rung, analysis.layers[-1].output_shape) == ("meta", (1, 3, 4, 4))
    assert len(analysis.inputs) == 1


@pytest.mark.parametrize(
    ("module", "shape", "size", "stride"),
    [
        (nn.Sequential(nn.Conv1d(2, 4, 5, stride=2), nn.MaxPool1d(3)), (2, 64), (9,), (6,)),
        (nn.Sequential(nn.Conv3d(2, 4, (3, 1, 5)), nn.AvgPool3d((1, 2, 2))), (2, 8, 16, 16), (3, 2, 6),
         (1, 2, 2)),
        (nn.Sequential(nn.ConvTranspose1d(2, 4, 4, stride=2), nn.Conv1d(4, 2, 3)), (2, 32), (3,), (0.5,)),
    ],
)  # fmt: skip
def test_one_and_three_spatial_axes(
    module: nn.Module, shape: tuple[int, ...], size: tuple[int, ...], stride: tuple[float, ...]
) -> None:
    analysis = analyze(module, shape)
    field = analysis.totals.receptive_field.output
    assert (field.size, field.stride) == (size, stride)
    assert analysis.totals.macs == counted(module, torch.rand(1, *shape))


def test_tokens_alone_have_one_axis() -> None:
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.conv = nn.Embedding(50, 8), nn.Conv1d(8, 4, 3)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.conv(self.words(tokens).transpose(1, 2))

    analysis = analyze(Reads(), inputs=[TOKENS])
    assert analysis.input_shape == (7,)
    assert macs(analysis) == 5 * 4 * 8 * 3
    assert analysis.layers[-1].output_shape == (1, 4, 5)


def test_integers_are_zero_where_values_are_needed() -> None:
    class Looks(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(2, 8)

        def forward(self, tokens: Tensor, flag: Tensor) -> Tensor:
            assert flag.all().item()
            return self.words(tokens)

    analysis = analyze(Looks(), inputs=[TOKENS, InputSpec((3,), "bool")])
    assert analysis.rung == "real"


def test_an_input_in_half_precision_stays_in_it() -> None:
    analysis = analyze(nn.ReLU(), inputs=[InputSpec((3, 8, 8), "float16")])
    assert analysis.totals.activation_bytes == 3 * 8 * 8 * 2


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("3,32,32", InputSpec((3, 32, 32))),
        ("3x32x32", InputSpec((3, 32, 32))),
        ("77:int64", InputSpec((77,), "int64")),
        ("mask=1,32,32:bool", InputSpec((1, 32, 32), "bool", "mask")),
    ],
)
def test_inputs_as_text(text: str, spec: InputSpec) -> None:
    assert parse_input(text) == spec
    assert parse_input(spelled(spec)) == spec


@pytest.mark.parametrize("text", ["", "3,a", "3,0,32", "3;32", "a b=3,32", "3,32:float33", "3,32:nn", "=3,4"])
def test_text_that_is_no_input(text: str) -> None:
    with pytest.raises(UsageError):
        parse_input(text)


def test_too_many_inputs_are_refused_with_the_signature() -> None:
    with pytest.raises(ModelError, match="too many positional arguments") as caught:
        analyze(nn.Conv2d(3, 4, 3), inputs=[IMAGE, IMAGE])
    assert "forward(input" in caught.value.expected


def test_an_unknown_keyword_is_refused_with_the_signature() -> None:
    with pytest.raises(ModelError, match="unexpected keyword argument 'masks'"):
        analyze(Two(), inputs=[IMAGE, TOKENS, InputSpec((1, 16, 16), None, "masks")])


@pytest.mark.parametrize("inputs", [[], [None], {}, [{"a": None}]])
def test_no_input_at_all(inputs: object) -> None:
    with pytest.raises(UsageError, match="no input"):
        analyze(nn.ReLU(), inputs=inputs)
