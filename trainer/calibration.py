"""Is the network right as often as it is sure?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cifar_report.trainer.images import Labels
from cifar_report.trainer.results import Bin, Calibration

BINS = 15


def calibrate(probabilities: NDArray[np.float64], labels: Labels) -> Calibration:
    """Return the expected calibration error over 15 bins of equal width.

    Source: Guo et al., "On Calibration of Modern Neural Networks", 2017 (arXiv 1706.04599),
    equation 3: the mean of |accuracy - confidence| over the bins, weighted by their images.

    Args:
        probabilities: (N, classes), each row adding up to 1.
        labels: (N,).
    """
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    edges = np.linspace(0, 1, BINS + 1)
    # A bin holds its upper edge: (low, high].
    places = np.clip(np.searchsorted(edges, confidence, side="left") - 1, 0, BINS - 1)
    bins = tuple(
        _bin(edges[place], edges[place + 1], confidence[places == place], right[places == place])
        for place in range(BINS)
    )
    apart = [
        bin_.count * abs(bin_.accuracy - bin_.confidence)
        for bin_ in bins
        if bin_.accuracy is not None and bin_.confidence is not None
    ]
    return Calibration(error=sum(apart) / len(labels), bins=bins)


def _bin(low: np.float64, high: np.float64, confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> Bin:
    if not len(confidence):
        return Bin(float(low), float(high), 0, None, None)
    return Bin(float(low), float(high), len(confidence), float(confidence.mean()), float(right.mean()))
