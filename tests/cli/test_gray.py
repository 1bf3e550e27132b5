"""Grey images from end to end: a data set in MNIST's form, trained on, evaluated and reported."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest

from tests.cli.trainings import FAST, call

CLASSES = 3
NETWORK = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 4, 5, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 3, 3),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )
"""


def write_idx(folder: Path, stem: str, count: int) -> None:
    """Write noisy images of a third that is bright, in the form of MNIST's files."""
    rng = np.random.default_rng(count)
    labels = np.arange(count, dtype=np.uint8) % CLASSES
    images = rng.integers(0, 60, (count, 28, 28), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, 9 * label : 9 * label + 9] += 150
    sizes = struct.pack(">3I", count, 28, 28)
    (folder / f"{stem}-images-idx3-ubyte").write_bytes(struct.pack(">I", 0x803) + sizes + images.tobytes())
    (folder / f"{stem}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, count) + labels.tobytes())


def test_a_report_on_grey_images_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(NETWORK)
    (tmp_path / "stripes").mkdir()
    write_idx(tmp_path / "stripes", "train", 60)
    write_idx(tmp_path / "stripes", "t10k", 30)
    result = call("net.py", "--data", "stripes", "--epochs", 2, "--lr", 0.05, *FAST, "--out", "run",
                  command="train-and-report")  # fmt: skip
    assert result.exit_code == 0, result.output
    text = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    for key in ("samples", "augmentation", "field_boxes", "effective_field", "attention"):
        assert f"figures/{key}-light.png" in text, key
    assert "1 \N{MULTIPLICATION SIGN} 28 \N{MULTIPLICATION SIGN} 28" in text
    assert "<img" in (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    again = call("net.py", "--data", "stripes", "--weights", "run/checkpoint.safetensors", "--format", "json",
                 command="evaluate")  # fmt: skip
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert json.loads(again.stdout)["correct"] == metrics["correct"]
