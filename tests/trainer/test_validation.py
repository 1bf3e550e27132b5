"""Holding training images out."""

import numpy as np
import pytest

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.images import ImageData, Split
from cifar_report.trainer.validation import hold_out


@pytest.fixture
def uneven():
    """100, 50 and 7 training images of three classes, each with pixels of its own, in no order."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(3), (100, 50, 7)))
    images = np.zeros((157, 32, 32, 3), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(157)
    names = tuple(f"image {index}" for index in range(157))
    return ImageData("uneven", ("a", "b", "c"), Split(images, labels, names), Split(images + 1, labels))


def identity(split):
    return split.images[:, 0, 0, 0].tolist()


@pytest.mark.parametrize("count", [3, 4, 20, 100, 154])
def test_every_image_is_on_one_side_and_every_class_on_both(uneven, count):
    data, held = hold_out(uneven, count)
    assert len(held.labels) == count
    assert sorted(identity(data.train) + identity(held)) == list(range(157))
    for split in (data.train, held):
        assert set(split.labels) == {0, 1, 2}
        assert split.labels.tolist() == uneven.train.labels[identity(split)].tolist()
        assert list(split.names) == [f"image {index}" for index in identity(split)]
    assert data.test is uneven.test


def test_classes_keep_their_shares(uneven):
    _, held = hold_out(uneven, 31)
    assert np.bincount(held.labels).tolist() == [20, 10, 1]


def test_the_same_images_are_held_out_every_time(uneven):
    assert identity(hold_out(uneven, 30)[1]) == identity(hold_out(uneven, 30)[1])


def test_none_are_held_out_unless_asked(uneven):
    assert hold_out(uneven, 0) == (uneven, None)


@pytest.mark.parametrize("count", [1, 2, 155, 500])
def test_a_side_without_a_class_is_refused(uneven, count):
    with pytest.raises(UsageError, match=r"can't be held out(?s:.*)3 to 154"):
        hold_out(uneven, count)
