from __future__ import annotations

from pathlib import Path

from cifar_report.analyzer.constraints import judge, parse_constraint
from cifar_report.trainer.measurements import measurements
from cifar_report.trainer.run import read_run

SAMPLE = Path(__file__).parents[2] / "sample_reports" / "cifar10"


def test_every_metric_of_a_run_is_measured_by_a_finished_one():
    """The sample trained for two epochs on the CPU, with the assignment's pipeline."""
    run = read_run(SAMPLE)
    texts = [f"test_accuracy >= {run.history[-1].test_accuracy}", "epochs == 2", "device == cuda",
             "test_accuracy > 0 sustained 2 epochs", "test_accuracy > 0 sustained 3 epochs",
             "augmentation has CoarseDropout(holes=1, height=16, width=16)",
             "augmentation has ShiftScaleRotate(shift=0.1, scale=0.1, rotate=30)",
             "augmentation has HorizontalFlip(p=0.5)"]  # fmt: skip
    verdicts = judge([parse_constraint(text) for text in texts], run.analysis, measurements(run))
    met = [verdict.state for verdict in verdicts]
    assert met == ["met", "met", "not met", "met", "not met", "met", "met", "not met"]
