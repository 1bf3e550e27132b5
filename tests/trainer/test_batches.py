"""CIFAR-10's original batch folder, good and bad."""

import io
import pickle
import subprocess

import numpy as np
import pytest

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.data import load_data

CLASSES = ["airplane", "automobile", "bird", "cat"]
COUNT = 8


@pytest.fixture
def images():
    return np.random.default_rng(5).integers(0, 256, (6, COUNT, 3, 32, 32), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, images):
    place = tmp_path / "cifar-10-batches-py"
    place.mkdir()
    write(place / "batches.meta", {"label_names": CLASSES, "num_cases_per_batch": COUNT, "num_vis": 3072})
    for name, pixels in zip([f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"], images, strict=True):
        write(place / name, batch(pixels))
    return place


def batch(pixels):
    labels = [index % len(CLASSES) for index in range(len(pixels))]
    return {"batch_label": "some", "data": pixels.reshape(len(pixels), 3072), "labels": labels}


def write(path, content, encode=True):
    """Write as Python 2 did: names are bytes, protocol 2."""
    if encode:
        content = {key.encode(): value for key, value in content.items()}
    path.write_bytes(pickle.dumps(content, protocol=2))


def test_pixels_come_out_channels_last_in_the_files_order(folder, images, notes):
    data = load_data(str(folder), notes)
    assert data.classes == tuple(CLASSES)
    assert (data.train.images == images[:5].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)).all()
    assert (data.test.images == images[5].transpose(0, 2, 3, 1)).all()
    assert data.train.labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3] * 5
    assert data.train.name(9) == "data_batch_2[1]"


def test_the_parent_folder_does_too(folder, images, notes):
    assert len(load_data(str(folder.parent), notes).test.labels) == COUNT


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_of_a_repacked_set_is_read(folder, images, notes, protocol):
    (folder / "test_batch").write_bytes(pickle.dumps(batch(images[5]), protocol=protocol))
    assert (load_data(str(folder), notes).test.images == images[5].transpose(0, 2, 3, 1)).all()


@pytest.mark.parametrize("length", [0, 10, 5000, -1])
def test_a_batch_cut_short_is_named(folder, notes, length):
    path = folder / "data_batch_3"
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UsageError, match=r"data_batch_3 is cut short or not a CIFAR-10 file"):
        load_data(str(folder), notes)


def test_a_pickle_that_runs_code_is_refused_before_it_runs(folder, notes, tmp_path):
    class Harm:
        def __reduce__(self):
            return subprocess.call, (["touch", str(tmp_path / "harmed")],)

    write(folder / "test_batch", {"data": Harm()})
    with pytest.raises(UsageError, match=r"call, which no batch of numbers needs"):
        load_data(str(folder), notes)
    assert not (tmp_path / "harmed").exists()


def test_code_inside_of_an_array_is_refused_too(folder, notes):
    array = np.empty(1, dtype=object)
    array[0] = io.StringIO
    write(folder / "test_batch", {"data": array})
    with pytest.raises(UsageError, match=r"io.StringIO, which no batch of numbers needs"):
        load_data(str(folder), notes)


def test_a_missing_batch_is_named(folder, notes):
    (folder / "data_batch_4").unlink()
    with pytest.raises(UsageError, match=r"not a complete CIFAR-10 batch folder(?s:.*)no data_batch_4"):
        load_data(str(folder), notes)


def test_too_few_images_are_counted(folder, images, notes):
    write(folder / "test_batch", batch(images[5][:-1]))
    with pytest.raises(UsageError, match=r"test_batch(?s:.*)uint8 \(8, 3072\)(?s:.*)uint8 \(7, 3072\)"):
        load_data(str(folder), notes)


def test_a_label_outside_of_the_classes_is_named(folder, images, notes):
    wrong = batch(images[5])
    wrong["labels"][3] = 4
    write(folder / "test_batch", wrong)
    with pytest.raises(UsageError, match=r"labels outside of the classes(?s:.*)0 to 3(?s:.*)found:    4"):
        load_data(str(folder), notes)


def test_a_meta_file_without_names(folder, notes):
    write(folder / "batches.meta", {"num_cases_per_batch": COUNT})
    with pytest.raises(UsageError, match=r"batches.meta does not describe batches"):
        load_data(str(folder), notes)
