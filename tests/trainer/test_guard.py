"""No data set trains anything whose test says nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import TensorDataset

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.data import load_data
from cifar_report.trainer.data_python import from_datasets
from cifar_report.trainer.guard import check, near_duplicates, near_note
from cifar_report.trainer.images import ImageData, Split


def noise(count, seed, side=32, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def made(train, test, name="noise"):
    labels = [np.arange(len(images), dtype=np.int64) % 2 for images in (train, test)]
    return ImageData(name, ("a", "b"), Split(train, labels[0]), Split(test, labels[1]))


def test_one_shared_image_of_ten_thousand_is_refused_by_name():
    train, test = noise(500, 1, 8), noise(10_000, 2, 8)
    test[7_123] = train[432]
    with pytest.raises(UsageError, match="1 of 10,000 test images") as caught:
        check(made(train, test))
    assert caught.value.found == "test image 7123 = train image 432"


@pytest.mark.parametrize("original", [False, True])
def test_the_training_split_is_no_test_split(original):
    """Document 003's mistake."""
    train = noise(40, 1)
    with pytest.raises(UsageError, match=r"training images too|not complete"):
        check(made(train, train.copy(), "cifar10"), original=original)


def test_a_dataset_given_twice_is_refused(tmp_path, notes):
    (tmp_path / "twice.py").write_text(
        "import torch\n"
        "from torch.utils.data import TensorDataset\n"
        "def make_datasets():\n"
        "    images = torch.randint(0, 256, (6, 3, 32, 32), dtype=torch.uint8)\n"
        "    data = TensorDataset(images, torch.arange(6) % 2)\n"
        "    return data, data\n"
    )
    with pytest.raises(UsageError, match="6 of 6 test images are training images too"):
        load_data(str(tmp_path / "twice.py"), notes)


@pytest.mark.parametrize("name", ["cifar10", "mnist"])
def test_a_named_data_set_has_its_counts(name):
    with pytest.raises(UsageError, match=rf"{name} is not complete(?s:.*)10,000 test(?s:.*)40, 10, 2"):
        check(made(noise(40, 1), noise(10, 2), name), original=True)


def test_shapes_that_differ_are_refused():
    with pytest.raises(UsageError, match="another shape"):
        check(made(noise(4, 1), noise(4, 2, 28)))


def test_labels_beyond_the_classes_are_named():
    data = made(noise(4, 1), noise(4, 2))
    wrong = replace(data, test=Split(data.test.images, np.array([0, 1, 2, 0])))
    with pytest.raises(UsageError, match=r"1 test labels are no class(?s:.*)2 for image 2"):
        check(wrong)


def test_fewer_labels_than_images_are_refused():
    data = made(noise(4, 1), noise(4, 2))
    with pytest.raises(UsageError, match="4 images and 3 labels"):
        check(replace(data, train=Split(data.train.images, data.train.labels[:3])))


def slow_pairs(data, limit):
    """Compare each with each: the definition, without the blocks."""
    found = {}
    for test, image in enumerate(data.test.images.astype(float)):
        gaps = np.sqrt(((data.train.images - image) ** 2).mean(axis=(1, 2, 3)))
        if gaps.min() <= limit:
            found[test] = (int(gaps.argmin()), pytest.approx(gaps.min(), abs=1e-3))
    return found


@pytest.mark.parametrize(("side", "channels"), [(32, 3), (28, 1), (30, 3), (3, 1)])
def test_near_duplicates_are_those_of_comparing_each_with_each(side, channels):
    train, test = noise(300, 1, side, channels), noise(280, 2, side, channels)
    rng = np.random.default_rng(3)
    for index in range(0, 40):
        shaken = train[index].astype(int) + rng.integers(-index // 3 - 1, index // 3 + 2, train[0].shape)
        test[5 * index] = np.clip(shaken, 0, 255)
    data = made(train, test)
    pairs = {pair.test: (pair.train, pair.difference) for pair in near_duplicates(data)}
    assert 15 < len(pairs) < 40
    assert pairs == slow_pairs(data, 5.0)


def test_near_duplicates_are_reported_by_name_and_not_refused(notes, tmp_path):
    train = noise(6, 1)
    test = np.clip(noise(6, 2), 2, 250)
    test[4] = np.clip(train[3], 1, 254)
    datasets = [
        TensorDataset(torch.from_numpy(images).permute(0, 3, 1, 2), torch.arange(6) % 2)
        for images in (train, test)
    ]
    data = check(from_datasets("near", *datasets, notes))
    assert near_note(data, near_duplicates(data)).endswith("test image 4 ~ train image 3")
    assert near_note(data, ()) == ""
