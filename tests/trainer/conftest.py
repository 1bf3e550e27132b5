"""A data set and a network that train in a second."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from torch import nn

from cifar_report.analyzer.analysis import Analysis, FieldTotals, ReceptiveField, Totals
from cifar_report.trainer.images import ImageData, Split

needs_compiler = pytest.mark.skipif(not any(map(shutil.which, ("g++", "clang++"))), reason="no C++ compiler")


class Notes:
    """Stands in for `Listener`: keeps what it hears."""

    def __init__(self):
        self.notes, self.works, self.steps, self.epochs = [], [], [], []

    def note(self, text):
        self.notes.append(text)

    def work(self, what, done, total):
        self.works.append((what, done, total))

    def step(self, step):
        self.steps.append(step)

    def epoch(self, epoch, epochs):
        self.epochs.append(epoch)


@pytest.fixture
def notes():
    return Notes()


def coloured(count: int, seed: int) -> Split:
    """Return noisy images whose class is the channel that is brightest."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int64) % 3
    images = rng.integers(0, 120, (count, 32, 32, 3), dtype=np.uint8)
    images[np.arange(count), :, :, labels] += 120
    return Split(images, labels)


@pytest.fixture
def data() -> ImageData:
    return ImageData("colours", ("red", "green", "blue"), coloured(40, 1), coloured(15, 2))


@pytest.fixture
def network(make_network) -> nn.Module:
    return make_network()


@pytest.fixture
def make_network():
    return small_network


def small_network() -> nn.Module:
    """Return a small network with batch normalisation and dropout, always with the same weights."""
    torch.manual_seed(7)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=4),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 3),
    )


@pytest.fixture(scope="session")
def analysis() -> Analysis:
    """What a run stores beside the weights; no trainer reads anything from it."""
    field = ReceptiveField("local", size=(3, 3), stride=(4.0, 4.0), start=(1.0, 1.0))
    totals = Totals(201, 201, 0, 13, 10, 20, 5, 30, 804, 52, 100, 60, FieldTotals(field, field), ("fold",))
    return Analysis("small", (3, 32, 32), "meta", totals, (), (), ())
