"""The built-in networks by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

import cifar_report.models.registry as registry
from cifar_report.analyzer.errors import UsageError


def test_every_network_file_in_the_folder_has_a_name() -> None:
    files = {file.stem for file in Path(registry.__file__).parent.glob("*.py")}
    defined = {type(registry.build(name)).__module__.rpartition(".")[2] for name in registry.names()}
    assert defined == files - {"__init__", "registry"}


def test_every_network_has_one_line() -> None:
    lines = registry.describe()
    assert tuple(lines) == registry.names()
    assert all(line and "\n" not in line for line in lines.values())


@pytest.mark.parametrize("name", registry.names())
def test_every_name_builds_a_network_for_ten_classes(name: str) -> None:
    network = registry.build(name)
    assert isinstance(network, nn.Module)
    with torch.no_grad():
        assert network.eval()(torch.zeros(1, *registry.input_shape(name))).shape == (1, 10)


def test_a_misspelt_name_is_a_usage_error_with_the_nearest_names() -> None:
    with pytest.raises(UsageError) as caught:
        registry.build("document_03")
    text = str(caught.value)
    assert "'document_03'" in text
    assert "did you mean" in text
    assert "document_003" in text.partition("did you mean")[2]
    assert caught.value.exit_code == 2


def test_a_name_like_no_other_is_pointed_at_the_list() -> None:
    with pytest.raises(UsageError, match="cifar-report models"):
        registry.build("xyz")
