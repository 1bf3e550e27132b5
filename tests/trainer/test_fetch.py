"""Downloading CIFAR-10, without a network: from a file, from nowhere, by hand."""

import hashlib
import tarfile

import pytest
from torchvision.datasets import CIFAR10

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.fetch import fetch_cifar10


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A small archive of the right form, where torchvision believes CIFAR-10 to be."""
    inside = tmp_path / "home" / CIFAR10.base_folder
    inside.mkdir(parents=True)
    (inside / "batches.meta").write_bytes(b"meta")
    path = tmp_path / "home" / CIFAR10.filename
    with tarfile.open(path, "w:gz") as tar:
        tar.add(inside, CIFAR10.base_folder)
    monkeypatch.setattr(CIFAR10, "url", path.as_uri())
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(path.read_bytes()).hexdigest())
    return path


def test_a_download_is_unpacked_and_kept(tmp_path, archive, notes):
    root = tmp_path / "data"
    folder = fetch_cifar10(root, notes)
    assert (folder / "batches.meta").read_bytes() == b"meta"
    assert {path.name for path in root.iterdir()} == {CIFAR10.filename, CIFAR10.base_folder}
    size = archive.stat().st_size
    assert notes.works[-1] == ("downloading CIFAR-10 (bytes)", size, size)


def test_what_is_there_is_not_downloaded_again(tmp_path, archive, notes):
    fetch_cifar10(tmp_path / "data", notes)
    notes.works.clear()
    archive.unlink()
    fetch_cifar10(tmp_path / "data", notes)
    assert notes.works == []


def test_an_archive_put_there_by_hand_is_used(tmp_path, archive, notes, monkeypatch):
    root = tmp_path / "data"
    root.mkdir()
    archive.rename(root / CIFAR10.filename)
    assert (fetch_cifar10(root, notes) / "batches.meta").exists()
    assert notes.works == []


def test_no_connection_names_three_ways_around_and_leaves_nothing(tmp_path, notes, monkeypatch):
    monkeypatch.setattr(CIFAR10, "url", "http://127.0.0.1:9/cifar-10-python.tar.gz")
    with pytest.raises(UsageError, match="can't be downloaded") as caught:
        fetch_cifar10(tmp_path / "data", notes)
    assert "train/CLASS" in caught.value.hint
    assert "original batches" in caught.value.hint
    assert str(tmp_path / "data" / "cifar-10-python.tar.gz") in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_archive_is_not_unpacked(tmp_path, archive, notes):
    root = tmp_path / "data"
    root.mkdir()
    (root / CIFAR10.filename).write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(UsageError, match=r"is damaged\n.*MD5"):
        fetch_cifar10(root, notes)
    assert not (root / CIFAR10.base_folder).exists()


def test_a_root_that_is_a_file(tmp_path, archive, notes):
    (tmp_path / "data").touch()
    with pytest.raises(UsageError, match="can't be stored"):
        fetch_cifar10(tmp_path / "data", notes)
