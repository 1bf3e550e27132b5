"""MNIST's files, plain and gzipped, good and bad."""

import gzip
import hashlib
import struct

import numpy as np
import pytest
from torchvision.datasets import MNIST

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.augment import describe
from cifar_report.trainer.augment_source import load_pipeline
from cifar_report.trainer.data import load_data
from cifar_report.trainer.fetch import fetch_mnist
from cifar_report.trainer.images import facts


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(4)
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for stem, count in (("train", 30), ("t10k", 20)):
        images = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 10
        head = struct.pack(">4i", 2051, *images.shape)
        (raw / f"{stem}-images-idx3-ubyte").write_bytes(head + images.tobytes())
        (raw / f"{stem}-labels-idx1-ubyte").write_bytes(struct.pack(">2i", 2049, count) + labels.tobytes())
    return tmp_path


def test_pixels_are_those_that_torchvision_reads(folder, notes):
    data = load_data(str(folder), notes)
    for split, train in ((data.train, True), (data.test, False)):
        theirs = MNIST(folder, train=train, download=False)
        assert (split.images[..., 0] == theirs.data.numpy()).all()
        assert (split.labels == theirs.targets.numpy()).all()
    assert (data.name, data.classes) == ("mnist", tuple("0123456789"))
    described = facts(data)
    assert described.image_shape == (1, 28, 28)
    assert described.mean == pytest.approx((data.train.images.mean() / 255,))


def test_gzipped_files_are_read_as_they_are(folder, notes):
    plain = load_data(str(folder), notes)
    for path in (folder / "MNIST" / "raw").iterdir():
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert (load_data(str(folder / "MNIST" / "raw"), notes).train.images == plain.train.images).all()


def test_signs_are_shifted_and_turned_and_not_mirrored(folder, notes):
    data = load_data(str(folder), notes)
    pipeline = load_pipeline("", facts(data), mirror=data.mirrored_is_same)
    assert [part.name for part in describe(pipeline.compose).transforms] == ["Affine", "Normalize"]


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("train-images-idx3-ubyte", lambda content: content[:-1], r"cut short(?s:.*)30 x 28 x 28 bytes"),
        ("t10k-labels-idx1-ubyte", lambda content: b"PK\3\4" + content[4:], "magic number 2049"),
        ("t10k-labels-idx1-ubyte", lambda content: b"", "is not such a file"),
        ("t10k-labels-idx1-ubyte", lambda content: struct.pack(">2i", 2049, 3) + b"abc", "20 labels"),
    ],
)
def test_a_damaged_file_is_named(folder, notes, name, damage, message):
    path = folder / "MNIST" / "raw" / name
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UsageError, match=message):
        load_data(str(folder), notes)


def test_a_missing_file_is_named(folder, notes):
    (folder / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(UsageError, match="no t10k-labels-idx1-ubyte"):
        load_data(str(folder), notes)


def test_a_download_comes_from_the_first_mirror_that_answers(folder, tmp_path, notes, monkeypatch):
    home, resources = tmp_path / "home", []
    home.mkdir()
    for path in sorted((folder / "MNIST" / "raw").iterdir()):
        packed = home / f"{path.name}.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        resources.append((packed.name, hashlib.md5(packed.read_bytes()).hexdigest()))
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/", f"{home.as_uri()}/"])
    monkeypatch.setattr(MNIST, "resources", resources)
    raw = fetch_mnist(tmp_path / "data", notes)
    assert {path.name for path in raw.iterdir()} == {name for name, _ in resources}
    with pytest.raises(UsageError, match="mnist is not complete"):
        load_data("mnist", notes, tmp_path / "data")
    monkeypatch.setattr(MNIST, "mirrors", ["http://127.0.0.1:9/"])
    with pytest.raises(UsageError, match="MNIST can't be downloaded"):
        fetch_mnist(tmp_path / "nowhere", notes)
    assert not (tmp_path / "nowhere").exists()
