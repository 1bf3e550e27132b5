"""Why a picture is not in a report, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cifar_report.reporter.calibration import ABSENT

if TYPE_CHECKING:
    from cifar_report.reporter.facts import Facts


def missing_pictures(facts: Facts) -> dict[str, str]:
    """Return for every picture's key what to say where it couldn't be drawn."""
    measured = facts.measured
    effective, looks = measured.effective, measured.looks
    return {
        "samples": "sample images were not kept in this run",
        "augmentation": "augmented images were not kept in this run",
        "diagram": "the network's operators are not known",
        "receptive_field": "the receptive field is not known for any layer",
        "field_boxes": "no layer has a receptive field on the image that is known",
        "effective_field": effective if isinstance(effective, str) else "it has no size that could be drawn",
        "curves": "no epoch was completed, so there are no curves",
        "per_class": "not measured",
        "confusion": "not measured",
        "calibration": ABSENT,
        "misclassified": "not kept in this run",
        "attention": looks if isinstance(looks, str) else "no images were kept in this run",
    }
