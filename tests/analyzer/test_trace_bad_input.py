from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.analysis import InputSpec
from cifar_report.analyzer.errors import ModelError, UsageError


class Block(nn.Module):
    """Raises, or does whatever a test wants, half way through `Network`."""

    def forward(self, x: Tensor) -> Tensor:
        raise ValueError("the map is odd\nand even: both")


class Network(nn.Module):
    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3)
        self.body = nn.Sequential(nn.ReLU(), block)
        self.head = nn.Linear(8, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(self.stem(x)).mean((2, 3)))


def refused(module: nn.Module, shape: tuple[int, ...] = (3, 32, 32)) -> ModelError:
    with pytest.raises(ModelError) as caught:
        analyze(module, shape)
    return caught.value


def test_a_forward_that_raises_names_layer_line_message_input_and_what_ran_before() -> None:
    problem = refused(Network(Block()))
    assert problem.exit_code == 3
    assert "ValueError in body.1 (Block): the map is odd / and even: both" in problem.what
    line = Block.forward.__code__.co_firstlineno + 1
    assert f'test_trace_bad_input.py, line {line}: raise ValueError("the map is odd' in problem.found
    assert "it got [1, 8, 30, 30]" in problem.found
    assert "conv2d in stem: [1, 8, 30, 30]" in problem.found
    assert "relu in body.0: [1, 8, 30, 30]" in problem.found
    assert "3,32,32" in problem.expected


def test_only_the_last_operators_are_shown() -> None:
    layers = [nn.Conv2d(3, 3, 1) for _ in range(12)]
    problem = refused(nn.Sequential(*layers, Block()))
    assert "12 operators, the last 5:" in problem.found
    assert [f"conv2d in {i}:" in problem.found for i in (6, 7, 11)] == [False, True, True]


def test_a_failure_that_the_network_catches_is_not_blamed_for_the_next_one() -> None:
    class Careful(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bad, self.conv = Block(), nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.bad(x)
            except ValueError:
                x = self.conv(x)
            raise KeyError("later")

    problem = refused(Careful())
    assert "KeyError in its own forward (Careful)" in problem.what
    assert "conv2d in conv" in problem.found


def test_layers_called_after_a_caught_failure_belong_where_they_belong() -> None:
    class Fallback(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bad, self.conv = nn.Sequential(Block()), nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            try:
                return self.bad(x)
            except ValueError:
                return self.conv(x)

    analysis = analyze(Fallback())
    assert analysis.rung == "meta"
    conv = next(row for row in analysis.layers if row.name == "conv")
    assert (conv.depth, conv.params, conv.macs) == (1, 4 * 28, 4 * 27 * 30 * 30)
    assert analysis.layers[-1].output_shape == (1, 4, 30, 30)


@pytest.mark.parametrize(
    ("module", "given", "right"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU()), (3, 28, 28), "1,28,28"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (1, 3, 32, 32), "3,32,32"),
        (nn.Sequential(nn.Conv2d(3, 4, 64), nn.ReLU()), (3, 32, 32), "3,64,64"),
        (nn.Sequential(nn.Conv2d(3, 2, 3), nn.Flatten(), nn.Linear(2 * 222**2, 3)), (3, 32, 32), "3,224,224"),
        (nn.Sequential(*[nn.MaxPool2d(2) for _ in range(6)]), (3, 32, 32), "3,64,64"),
        (nn.Sequential(nn.Linear(784, 10)), (1, 28, 28), "784"),
        (nn.Sequential(nn.Embedding(100, 8), nn.Linear(8, 2)), (3, 32, 32), "32:int64"),
        (nn.Sequential(nn.Conv1d(2, 4, 3)), (3, 32, 32), "2,32"),
        (nn.Sequential(nn.Conv3d(3, 4, 3)), (3, 32, 32), "3,16,28,28"),
    ],
)
def test_another_input_shape_is_proposed_when_the_network_takes_it(
    module: nn.Module, given: tuple[int, ...], right: str
) -> None:
    assert refused(module, given).hint == f"it runs with --input {right}"


def test_no_input_shape_is_proposed_when_none_helps() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(1234, 3))
    assert "it runs" not in refused(module).hint


def test_a_size_that_the_network_asserts_is_found() -> None:
    class Picky(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            assert x.shape[-1] == 96, f"96 wanted, {x.shape[-1]} given"
            return x.relu()

    problem = refused(Picky())
    assert "AssertionError" in problem.what
    assert "96 wanted, 32 given" in problem.what
    assert problem.hint == "it runs with --input 3,96,96"


def test_missing_arguments_are_named_with_the_signature() -> None:
    class Two(nn.Module):
        def forward(self, image: Tensor, mask: Tensor) -> Tensor:
            return image * mask

    problem = refused(Two())
    assert "missing a required argument: 'mask'" in problem.what
    assert "image" in problem.expected
    assert "mask" in problem.expected


def test_no_tensor_returned() -> None:
    class Forgetful(nn.Module):
        def forward(self, x: Tensor) -> None:
            x.relu()

    problem = refused(Forgetful())
    assert "returned NoneType, which holds no tensor" in problem.what
    assert "return statement" in problem.hint


def test_no_forward_at_all() -> None:
    class Empty(nn.Module):
        pass

    assert "forward(self, x)" in refused(Empty()).hint


def test_sys_exit_is_reported_and_does_not_end_the_program() -> None:
    class Quits(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            sys.exit("done")

    assert "called sys.exit('done') in its own forward" in refused(Quits()).what


@pytest.mark.parametrize("through_call", [True, False])
def test_recursion_without_end(through_call: bool) -> None:
    class Endless(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.conv(x)
            return self(x) if through_call else self.forward(x)

    problem = refused(Endless())
    assert "called itself until Python's stack was full" in problem.what
    assert "test_trace_bad_input.py, line" in problem.found


def test_an_exception_whose_message_cannot_be_read() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise OddError

    assert "raised OddError" in refused(Odd()).what


def test_keyboard_interrupt_passes_through() -> None:
    class Interrupted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyze(Interrupted())


@pytest.mark.parametrize("needs_values", [False, True])
def test_what_a_network_prints_goes_to_stderr_once(
    needs_values: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    class Talks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            print("shape", tuple(x.shape))
            return x * x.mean().item() if needs_values else x

    analysis = analyze(Talks())
    out, err = capfd.readouterr()
    assert (out, err) == ("", "shape (1, 3, 32, 32)\n")
    assert analysis.rung == ("real" if needs_values else "meta")


def test_what_a_failing_network_prints_is_still_shown_once(capfd: pytest.CaptureFixture[str]) -> None:
    class Talks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            print("almost there")
            raise ValueError

    refused(Talks())
    assert capfd.readouterr() == ("", "almost there\n")


def test_a_meta_network_that_needs_values_says_why() -> None:
    class Needs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return x * float(self.conv(x).sum())

    with torch.device("meta"):
        module = Needs()
    assert "its parameters are on the meta device" in refused(module).hint


@pytest.mark.parametrize("shape", [(), (0, 32, 32), (3, -1), (3, 32.0, 32), "3,32,32"])
def test_a_shape_that_is_none(shape: object) -> None:
    with pytest.raises(UsageError, match=r"shape|input"):
        analyze(nn.ReLU(), shape)  # that is the point


def test_sizes_of_numpy_are_numbers_too() -> None:
    assert analyze(nn.ReLU(), np.array([3, 8, 8])).input_shape == (3, 8, 8)


def test_a_class_instead_of_an_instance() -> None:
    with pytest.raises(UsageError) as caught:
        analyze(Block)  # that is the point
    assert "Block()" in caught.value.hint


def test_an_unknown_dtype() -> None:
    with pytest.raises(UsageError, match="float33"):
        analyze(nn.ReLU(), inputs=[InputSpec((3, 4), "float33")])


def test_a_failure_inside_a_function_names_the_module_that_called_it() -> None:
    class Joins(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.cat([x, F.max_pool2d(x, 2)], 1)

    problem = refused(nn.Sequential(nn.Conv2d(3, 4, 3), Joins()))
    assert "in 1 (Joins)" in problem.what
    assert "max_pool2d in 1: [1, 4, 15, 15]" in problem.found
