"""What a file of weights says about itself."""

import torch

from cifar_report.trainer.checkpoint import weights_bytes
from cifar_report.trainer.passport import Passport, read_passport

PASSPORT = Passport("model.py:Net", "colours", ("red", "grün"), (0.1, 0.2, 0.3), (0.5, 0.5, 0.6), 12)
WEIGHTS = {"fold.weight": torch.arange(6.0).view(2, 3), "fold.bias": torch.zeros(2)}


def test_the_same_weights_are_the_same_bytes_each_time():
    """The format writes several keys of a header in random order; resuming ends in the same bytes."""
    assert len({weights_bytes(WEIGHTS, PASSPORT) for _ in range(50)}) == 1


def test_what_is_written_is_read(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(weights_bytes(WEIGHTS, PASSPORT))
    assert read_passport(tmp_path / "a.safetensors") == PASSPORT
