"""What a run measured, by the names that constraints have for it."""

from __future__ import annotations

from dataclasses import asdict

from cifar_report.trainer.run import Run


def measurements(run: Run) -> dict[str, object]:
    """Return a run's figures for `analyzer.constraints.judge`; empty if it didn't finish."""
    if run.metrics is None:
        return {}
    return {
        "test_accuracy": run.metrics.accuracy,
        "test_accuracy.history": tuple([epoch.test_accuracy for epoch in run.history]),
        "epochs": float(len(run.history)),
        "device": run.config.device,
        "augmentation": [asdict(row) for row in run.augmentation.transforms] if run.augmentation else [],
    }
