"""What a run measured, by the names that constraints have for it."""

from __future__ import annotations

from dataclasses import asdict

from cifar_report.trainer.run import Run


def measurements(run: Run) -> dict[str, object]:
    """Return a run's figures for `analyzer.constraints.judge`; empty if it didn't finish."""
    if run.metrics is None:
        return {}
    tested = tuple([e.test_accuracy for e in run.history if e.test_accuracy is not None])
    return {
        "test_accuracy": run.metrics.accuracy,
        # Epochs that were judged on validation images have no test accuracy: then it isn't measured.
        **({"test_accuracy.history": tested} if len(tested) == len(run.history) else {}),
        # Those of a run before are as much part of the training as if it had been one run.
        "epochs": float(run.config.epochs_before + len(run.history)),
        "device": run.config.device,
        "augmentation": [asdict(row) for row in run.augmentation.transforms] if run.augmentation else [],
    }
