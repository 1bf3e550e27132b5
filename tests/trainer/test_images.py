"""What a data set must be before it trains anything."""

from dataclasses import replace

import numpy as np
import pytest

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.guard import check
from cifar_report.trainer.images import Split, facts


def test_mean_and_deviation_are_those_of_the_training_pixels(data):
    pixels = data.train.images.reshape(-1, 3) / 255
    described = facts(data)
    assert described.mean == pytest.approx(pixels.mean(axis=0), abs=1e-12)
    assert described.std == pytest.approx(pixels.std(axis=0), abs=1e-12)


def test_counts_per_class(data):
    described = facts(data)
    assert (described.train_count, described.train_per_class) == (40, (14, 13, 13))
    assert (described.test_count, described.test_per_class) == (15, (5, 5, 5))
    assert described.image_shape == (3, 32, 32)


def test_the_hash_knows_every_pixel_and_every_label(data):
    before = facts(data)
    images, labels = data.train.images.copy(), data.train.labels.copy()
    images[39, 31, 31, 2] ^= 1
    labels[0] = 1
    assert facts(replace(data, train=Split(images, data.train.labels))).train_hash != before.train_hash
    assert facts(replace(data, train=Split(data.train.images, labels))).train_hash != before.train_hash
    assert facts(replace(data, train=Split(images, labels))).test_hash == before.test_hash


def test_one_shared_image_is_refused_by_name(data):
    images = data.test.images.copy()
    images[4] = data.train.images[33]
    leaking = replace(data, test=Split(images, data.test.labels, tuple(f"t{i}.png" for i in range(15))))
    with pytest.raises(UsageError, match="1 of 15 test images") as caught:
        check(leaking)
    assert caught.value.found == "test t4.png = train image 33"


def test_evaluating_on_the_training_split_is_refused(data):
    with pytest.raises(UsageError, match="40 of 40 test images are training images too"):
        check(replace(data, test=data.train))


def test_a_class_without_test_images_is_refused_by_name(data):
    without = np.flatnonzero(data.test.labels != 1)
    test = Split(data.test.images[without], data.test.labels[without])
    with pytest.raises(UsageError, match="no test image of class green"):
        check(replace(data, test=test))
