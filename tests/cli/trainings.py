"""A network and a data set that train in a second, and the commands that train them."""

from pathlib import Path

import numpy as np
from click.testing import Result
from PIL import Image

from tests.cli import program

NETWORK = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self, classes=3):
        super().__init__(
            nn.Conv2d(3, 4, 3, stride=4), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.1),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, classes),
        )
"""
TEST_IMAGES = 21
TRAIN_IMAGES = 24
FAST = ["--precision", "float32", "--memory-format", "channels_last", "--workers", "0"]


def write_colours(root: Path) -> None:
    """Write noisy images of three classes, each the channel that is brighter than the others."""
    rng = np.random.default_rng(0)
    for split, count in (("train", TRAIN_IMAGES), ("test", TEST_IMAGES)):
        for channel, name in enumerate(("red", "green", "blue")):
            folder = root / split / name
            folder.mkdir(parents=True)
            for number in range(count // 3):
                pixels = rng.integers(0, 200, (32, 32, 3), dtype=np.uint8)
                pixels[..., channel] += 40
                Image.fromarray(pixels).save(folder / f"{number}.png")


def call(*arguments: object, command: str = "train") -> Result:
    """Call a command that trains, or another."""
    return program.call(command, *arguments)


def train(*arguments: object, command: str = "train") -> Result:
    """Train the network for two epochs."""
    return call("net.py", "--data", "colours", "--epochs", 2, *FAST, *arguments, command=command)


def names(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return sorted(path.name for path in folder.iterdir())
