from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cifar_report.analyzer.errors import UsageError
from cifar_report.reporter.facts import gather


def test_a_complete_run_gives_all_facts(run_folder: Path) -> None:
    facts = gather(run_folder)
    assert facts.run.metrics is not None
    assert facts.samples is not None
    assert facts.samples.images.shape == (18, 32, 32, 3)
    assert facts.predictions is not None
    assert facts.weights_sha256 == hashlib.sha256(b"weights").hexdigest()


def test_constraints_are_judged_with_what_was_analysed_and_measured(run_folder: Path) -> None:
    states = {verdict.metric: verdict.state for verdict in gather(run_folder).verdicts}
    assert states == {"params": "met", "rf": "not met", "test_accuracy": "met", "epochs": "met"}


def test_an_interrupted_run_has_measured_nothing(write_run: Callable[..., Path], tmp_path: Path) -> None:
    facts = gather(write_run(tmp_path / "run", done=2))
    states = {verdict.metric: verdict.state for verdict in facts.verdicts}
    assert states["test_accuracy"] == states["epochs"] == "not measured"
    assert states["params"] == "met"
    assert facts.samples is None
    assert facts.predictions is None
    assert facts.weights_sha256 is None


def test_a_run_that_contradicts_itself_is_refused_with_both_figures(run_folder: Path) -> None:
    path = run_folder / "metrics.json"
    metrics = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**metrics, "accuracy": 90.45}), encoding="utf-8")
    with pytest.raises(UsageError, match="contradict") as caught:
        gather(run_folder)
    assert "24 of 30" in caught.value.found
    assert "90.450" in caught.value.found


def test_predictions_of_another_run_are_refused(run_folder: Path, write_run: Callable[..., Path]) -> None:
    other = write_run(run_folder.parent / "other", classes=("a", "b", "c", "d"))
    (run_folder / "predictions.npz").write_bytes((other / "predictions.npz").read_bytes())
    with pytest.raises(UsageError, match="contradict"):
        gather(run_folder)


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("labels", [0, 1], "18 images and 2 labels"),
        ("labels", [9] * 18, "beyond the data set's classes"),
        ("test_index", [0, 5, 10, 15, 20, 30], "beyond the test split"),
    ],
)
def test_pictures_of_another_data_set_are_refused(
    run_folder: Path, synthetic: dict[str, Any], name: str, value: list[int], sentence: str
) -> None:
    arrays = synthetic["pictures"](synthetic["CLASSES"])
    np.savez(run_folder / "samples.npz", **{**arrays, name: np.array(value)})
    with pytest.raises(UsageError, match="contradict") as caught:
        gather(run_folder)
    assert sentence in caught.value.found


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 cut"])
@pytest.mark.parametrize("name", ["samples.npz", "predictions.npz"])
def test_a_damaged_array_file_is_named(run_folder: Path, name: str, content: bytes) -> None:
    (run_folder / name).write_bytes(content)
    with pytest.raises(UsageError, match=name):
        gather(run_folder)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a run folder"):
        gather(tmp_path)


def test_a_run_that_measured_no_calibration_gets_that_of_its_predictions(
    run_folder: Path, edit: Callable[..., None]
) -> None:
    measured = gather(run_folder, with_network=False).run.metrics
    edit(run_folder / "metrics.json", calibration=None)
    again = gather(run_folder, with_network=False).run.metrics
    assert measured is not None
    assert again is not None
    assert again.calibration is not None
    assert measured.calibration is not None
    assert again.calibration.error == pytest.approx(measured.calibration.error, abs=1e-6)
    assert [row.count for row in again.calibration.bins] == [row.count for row in measured.calibration.bins]
