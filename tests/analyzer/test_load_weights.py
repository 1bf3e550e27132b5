"""Weights from files: what is read, what is looked through, and what is refused by name."""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cifar_report.analyzer.errors import ModelError, Problem, UsageError
from cifar_report.analyzer.load_weights import load_weights


def network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def refused(module: nn.Module, path: Path, kind: type[Problem]) -> str:
    with pytest.raises(kind) as caught:
        load_weights(module, path)
    assert type(caught.value) is kind
    return str(caught.value)


def loads(content: Any, path: Path, expected: nn.Module) -> str:
    """Save a content, load it into another network, and return what was said."""
    torch.save(content, path)
    module = network()
    said = load_weights(module, path)
    for name, value in expected.state_dict().items():
        assert torch.equal(module.state_dict()[name], value), name
    return said


def test_safetensors_are_loaded_whatever_the_file_is_called(tmp_path: Path) -> None:
    source, module, path = network(), network(), tmp_path / "weights.bin"
    save_file(source.state_dict(), path)
    assert load_weights(module, path) == f"{path}: 9 tensors fit the network"
    assert torch.equal(module[0].weight, source[0].weight)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_state_dict_of_torch_is_loaded(tmp_path: Path, legacy: bool) -> None:
    source, module, path = network(), network(), tmp_path / "weights.pt"
    torch.save(source.state_dict(), path, _use_new_zipfile_serialization=not legacy)
    load_weights(module, path)
    assert torch.equal(module[2].weight, source[2].weight)


@pytest.mark.parametrize("name", ["state_dict", "model", "module", "ema_of_mine"])
def test_weights_inside_of_a_checkpoint_are_found_and_it_is_said_where(tmp_path: Path, name: str) -> None:
    source = network()
    optimizer = torch.optim.Adam(source.parameters())
    source(torch.ones(1, 3, 4, 4)).sum().backward()
    optimizer.step()
    content = {
        "epoch": 3,
        "loss": torch.tensor(0.5),
        "optimizer": optimizer.state_dict(),
        name: source.state_dict(),
    }
    assert loads(content, tmp_path / "c.pt", source).endswith(f"fit the network, taken from {name!r}")


@pytest.mark.parametrize("prefix", ["module.", "module._orig_mod.", "net."])
def test_the_prefix_of_a_wrapper_is_left_out_and_said(tmp_path: Path, prefix: str) -> None:
    source = network()
    content = {prefix + name: value for name, value in source.state_dict().items()}
    assert f"without the prefix {prefix!r}" in loads({"state_dict": content}, tmp_path / "c.pt", source)


def test_a_prefix_that_the_network_has_itself_is_kept(tmp_path: Path) -> None:
    source, module = nn.ModuleDict({"module": network()}), nn.ModuleDict({"module": network()})
    torch.save(source.state_dict(), tmp_path / "c.pt")
    assert "without" not in load_weights(module, tmp_path / "c.pt")


def test_batch_counters_that_old_files_lack_are_not_missed(tmp_path: Path) -> None:
    content = {name: v for name, v in network().state_dict().items() if "num_batches" not in name}
    save_file(content, tmp_path / "c.safetensors")
    load_weights(network(), tmp_path / "c.safetensors")


def test_names_that_do_not_fit_are_told_with_their_count(tmp_path: Path) -> None:
    content = {name.replace("2.", "3."): value for name, value in network().state_dict().items()}
    content |= {f"head.{i}": torch.ones(1) for i in range(9)}
    torch.save(content, tmp_path / "c.pt")
    message = refused(network(), tmp_path / "c.pt", ModelError)
    assert "2 missing: 2.weight, 2.bias" in message
    assert "11 unexpected: 3.weight, 3.bias, head.0, head.1, head.2 and 6 more" in message
    assert "expected: 9 tensors" in message


def test_shapes_that_differ_are_told_with_both(tmp_path: Path) -> None:
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 7, 1))
    torch.save(other.state_dict(), tmp_path / "c.pt")
    message = refused(network(), tmp_path / "c.pt", ModelError)
    assert "2 another shape: 2.weight: file [7, 4, 1, 1], network [2, 4, 1, 1]" in message
    assert "missing" not in message


def test_a_whole_pickled_network_is_refused_with_what_to_do(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "c.pt")
    message = refused(network(), tmp_path / "c.pt", UsageError)
    assert "is a whole pickled network" in message
    assert "torch.nn.modules" in message
    assert "weights_only=False" in message
    assert "state_dict()" in message


def test_a_whole_network_of_the_old_format_is_refused_too(tmp_path: Path) -> None:
    torch.save(network(), tmp_path / "c.pt", _use_new_zipfile_serialization=False)
    assert "pickled" in refused(network(), tmp_path / "c.pt", UsageError)


def test_objects_beside_the_weights_are_named(tmp_path: Path) -> None:
    torch.save({"model": network().state_dict(), "args": argparse.Namespace(lr=1)}, tmp_path / "c.pt")
    message = refused(network(), tmp_path / "c.pt", UsageError)
    assert "holds objects besides weights" in message
    assert "argparse.Namespace" in message


def test_a_torchscript_archive_is_refused_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "c.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, and its files are still around
        torch.jit.save(torch.jit.script(nn.Linear(1, 1)), path)
    assert "torch.jit.load" in refused(nn.Linear(1, 1), path, UsageError)


@pytest.mark.parametrize("kept", [9, 100, 0.5, 0.99])
@pytest.mark.parametrize("kind", ["safetensors", "torch"])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, kind: str, kept: float) -> None:
    path = tmp_path / "c"
    if kind == "torch":
        torch.save(network().state_dict(), path)
    else:
        save_file(network().state_dict(), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: kept if isinstance(kept, int) else int(kept * len(whole))])
    assert "damaged or cut short" in refused(network(), path, UsageError)


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html>", "begins with"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "begins with"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        (b"import torch\n", "begins with"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes, found: str) -> None:
    (tmp_path / "c.pt").write_bytes(content)
    message = refused(network(), tmp_path / "c.pt", UsageError)
    assert "is no file of weights" in message
    assert found in message


@pytest.mark.parametrize("content", [{}, [torch.ones(1)], torch.ones(2), {"epoch": 3}, {"a": {"b": 1}}, 5])
def test_a_checkpoint_without_weights_is_refused(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "c.pt")
    assert "holds no state dict" in refused(network(), tmp_path / "c.pt", UsageError)


def test_of_two_unnamed_state_dicts_none_is_guessed(tmp_path: Path) -> None:
    torch.save({"student": network().state_dict(), "teacher": network().state_dict()}, tmp_path / "c.pt")
    message = refused(network(), tmp_path / "c.pt", UsageError)
    assert "several state dicts" in message
    assert "student, teacher" in message


def test_a_missing_file_names_its_neighbour_and_a_folder_is_none(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "weights.pt")
    assert "did you mean" in refused(network(), tmp_path / "weihgts.pt", UsageError)
    assert "is a folder" in refused(network(), tmp_path, UsageError)
    assert "there is no file" in refused(network(), tmp_path / "x" / "y.pt", UsageError)
