"""The digits."""

import numpy as np
import pytest
from sklearn.datasets import load_digits as sklearn_digits

from cifar_report.trainer.data import load_data


@pytest.fixture
def digits(notes):
    return load_data("digits", notes)


def test_every_digit_is_in_exactly_one_split(digits):
    numbers = [int(name.split()[1]) for name in (*digits.train.names, *digits.test.names)]
    assert sorted(numbers) == list(range(1797))
    assert len(digits.test.labels) == 359


def test_labels_are_scikit_learns(digits):
    target = sklearn_digits().target
    numbers = [int(name.split()[1]) for name in digits.test.names]
    assert (digits.test.labels == target[numbers]).all()


def test_a_fifth_of_each_class_is_for_testing(digits):
    train, test = np.bincount(digits.train.labels), np.bincount(digits.test.labels)
    assert (abs(test / (train + test) - 0.2) < 0.005).all()


def test_images_shrunk_again_are_the_originals(digits):
    originals = sklearn_digits().images
    number = int(digits.train.names[100].split()[1])
    shrunk = digits.train.images[100].astype(float).reshape(8, 4, 8, 4, 3).mean(axis=(1, 3, 4))
    assert np.corrcoef(shrunk.ravel(), originals[number].ravel())[0, 1] > 0.97


def test_a_mirrored_digit_is_another_sign(digits):
    assert not digits.mirrored_is_same
