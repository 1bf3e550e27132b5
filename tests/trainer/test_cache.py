"""Decoded images that are kept: found again, never trusted, never half-written."""

import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cifar_report.trainer import data as data_module
from cifar_report.trainer.cache import cache_root, cached
from cifar_report.trainer.data import load_data
from cifar_report.trainer.folder import load_folder


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setenv("CIFAR_REPORT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(3)
    for split in ("train", "test"):
        for name in ("cat", "dog"):
            place = tmp_path / "pets" / split / name
            place.mkdir(parents=True)
            for number in range(3):
                pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(place / f"{number}.png")
    return tmp_path / "pets"


@pytest.fixture
def decoded(monkeypatch):
    """Count how often the folder is decoded."""
    calls = []
    load = data_module.load_folder
    monkeypatch.setattr(data_module, "load_folder", lambda *args: calls.append(args) or load(*args))
    return calls


def same(first, second):
    return all(
        (getattr(first, which).images == getattr(second, which).images).all()
        and (getattr(first, which).labels == getattr(second, which).labels).all()
        and getattr(first, which).names == getattr(second, which).names
        for which in ("train", "test")
    ) and (first.name, first.classes, first.note) == (second.name, second.classes, second.note)


def test_a_folder_is_decoded_once_and_mapped_after(root, folder, notes, decoded):
    first, second = load_data(str(folder), notes), load_data(str(folder), notes)
    assert len(decoded) == 1
    assert same(first, second)
    assert isinstance(second.train.images, np.memmap)
    assert notes.notes == [first.note] * 2
    assert not list(root.rglob(".partial*"))


def test_nothing_reaches_the_file(root, folder, notes):
    load_data(str(folder), notes).train.images[:] = 0
    assert load_data(str(folder), notes).train.images.any()


@pytest.mark.parametrize("what", ["touched", "added", "removed"])
def test_a_source_that_changed_is_decoded_again(root, folder, notes, decoded, what):
    load_data(str(folder), notes)
    picture = folder / "train" / "cat" / "1.png"
    if what == "removed":
        picture.unlink()
    else:
        target = picture if what == "touched" else picture.with_name("9.png")
        Image.fromarray(np.full((40, 40, 3), 9, dtype=np.uint8)).save(target)
    data = load_data(str(folder), notes)
    assert len(decoded) == 2
    assert len(data.train.labels) == {"touched": 6, "added": 7, "removed": 5}[what]


@pytest.mark.parametrize("name", ["train.images.npy", "test.labels.npy", "data.json"])
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_entry_is_noticed_and_made_again(root, folder, notes, decoded, name, damage):
    first = load_folder(folder, notes)
    load_data(str(folder), notes)
    (path,) = root.rglob(name)
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(content[:-7])
    else:
        content[-3 if name.endswith("npy") else 0] ^= 1
        path.write_bytes(content)
    again = load_data(str(folder), notes)
    assert same(first, again)
    assert len(decoded) == 2
    assert same(first, load_data(str(folder), notes))
    assert any("is damaged, decoding again" in note for note in notes.notes)


def test_a_cache_that_cannot_be_written_costs_only_time(root, folder, notes, decoded):
    root.write_text("a file")
    assert len(load_data(str(folder), notes).train.labels) == 6
    assert any("can't be kept" in note for note in notes.notes)


def test_two_that_decode_at_once_leave_one_entry(root, folder, notes):
    made = []
    together = threading.Barrier(4)

    def decode():
        together.wait()
        return load_folder(folder, notes)

    def load():
        made.append(cached("folder", folder, notes, decode))

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert all(same(made[0], other) for other in made)
    assert len(list((root / "data").iterdir())) == 1


@pytest.mark.parametrize(
    ("xdg", "expected"),
    [("/var/xdg", "/var/xdg/cifar-report"), ("", "~/.cache/cifar-report"), ("here", "~/.cache/cifar-report")],
)
def test_the_cache_lies_where_xdg_says(monkeypatch, xdg, expected):
    monkeypatch.delenv("CIFAR_REPORT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    assert str(cache_root()) == str(Path(expected).expanduser())
