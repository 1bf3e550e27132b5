"""Confidence against accuracy: torchmetrics, scikit-learn, and a case by hand."""

import numpy as np
import pytest
import torch
from sklearn.calibration import calibration_curve

from cifar_report.trainer.calibration import BINS, calibrate


@pytest.fixture
def predictions():
    rng = np.random.default_rng(5)
    scores = rng.normal(size=(800, 6)) * 2
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return probabilities, rng.integers(0, 6, 800)


def test_the_error_is_torchmetrics(predictions):
    from torchmetrics.classification import MulticlassCalibrationError

    probabilities, labels = predictions
    oracle = MulticlassCalibrationError(num_classes=6, n_bins=BINS, norm="l1")
    expected = oracle(torch.from_numpy(probabilities), torch.from_numpy(labels)).item()
    assert calibrate(probabilities, labels).error == pytest.approx(expected, abs=1e-6)


def test_the_bins_are_scikit_learns(predictions):
    probabilities, labels = predictions
    right = probabilities.argmax(axis=1) == labels
    accuracy, confidence = calibration_curve(right, probabilities.max(axis=1), n_bins=BINS)
    bins = [bin_ for bin_ in calibrate(probabilities, labels).bins if bin_.count]
    assert [bin_.accuracy for bin_ in bins] == pytest.approx(accuracy.tolist())
    assert [bin_.confidence for bin_ in bins] == pytest.approx(confidence.tolist())
    assert sum(bin_.count for bin_ in bins) == 800


def test_by_hand():
    """Two images at 0.9, one of them right, and two at 0.6, both right: (2 * 0.4 + 2 * 0.4) / 4."""
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]])
    found = calibrate(probabilities, np.array([0, 1, 0, 1]))
    assert found.error == pytest.approx(0.4)
    assert [(bin_.count, bin_.accuracy) for bin_ in found.bins if bin_.count] == [(2, 1.0), (2, 0.5)]
    assert {bin_.confidence for bin_ in found.bins if not bin_.count} == {None}


def test_certainty_is_in_the_last_bin():
    found = calibrate(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([0, 0]))
    assert (found.error, found.bins[-1].count) == (0.5, 2)
