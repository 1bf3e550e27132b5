from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from cifar_report.reporter.consistency import (
    contradictions,
    prediction_contradictions,
    weight_contradictions,
)
from cifar_report.trainer.results import FlipTest
from cifar_report.trainer.run import Run


@pytest.fixture
def run(synthetic: dict[str, Any]) -> Run:
    """A run whose figures agree."""
    config = synthetic["config"]()
    log = synthetic["history"](4, config.data.test_count, 80.0)
    metrics = synthetic["metrics"](config.data.classes, log)
    return Run(Path(), config, {}, synthetic["analysis"](), tuple(log), metrics, None)


def with_data(run: Run, **changes: Any) -> Run:
    """Return the run with other facts of its data set."""
    data = dataclasses.replace(run.config.data, **changes)
    return dataclasses.replace(run, config=dataclasses.replace(run.config, data=data))


def with_metrics(run: Run, **changes: Any) -> Run:
    """Return the run with other metrics."""
    assert run.metrics is not None
    return dataclasses.replace(run, metrics=dataclasses.replace(run.metrics, **changes))


def test_facts_that_agree_give_no_contradiction(run: Run) -> None:
    assert contradictions(run) == []


def test_layers_must_add_up_to_the_parameters(run: Run) -> None:
    first = dataclasses.replace(run.analysis.layers[0], params=217)
    analysis = dataclasses.replace(run.analysis, layers=(first, *run.analysis.layers[1:]))
    (sentence,) = contradictions(dataclasses.replace(run, analysis=analysis))
    assert "865" in sentence
    assert "864" in sentence


def test_layers_must_add_up_to_the_macs(run: Run) -> None:
    totals = dataclasses.replace(run.analysis.totals, macs=1)
    analysis = dataclasses.replace(run.analysis, totals=totals)
    (sentence,) = contradictions(dataclasses.replace(run, analysis=analysis))
    assert "382,976" in sentence


def test_unknown_macs_are_no_contradiction(run: Run) -> None:
    totals = dataclasses.replace(run.analysis.totals, macs=None)
    first = dataclasses.replace(run.analysis.layers[0], macs=None)
    analysis = dataclasses.replace(run.analysis, totals=totals, layers=(first, *run.analysis.layers[1:]))
    assert contradictions(dataclasses.replace(run, analysis=analysis)) == []


def test_trainable_and_frozen_must_be_all_parameters(run: Run) -> None:
    totals = dataclasses.replace(run.analysis.totals, frozen_params=5)
    (sentence,) = contradictions(
        dataclasses.replace(run, analysis=dataclasses.replace(run.analysis, totals=totals))
    )
    assert "5 frozen" in sentence


def test_classes_must_add_up_to_the_splits(run: Run) -> None:
    (sentence,) = contradictions(with_data(run, train_per_class=(12, 12, 11)))
    assert "35" in sentence
    assert "36" in sentence


def test_the_same_images_in_both_splits_are_refused(run: Run) -> None:
    assert contradictions(with_data(run, test_hash="a" * 64)) == [
        "the training and the test split hold the same images"
    ]


def test_an_accuracy_must_be_its_own_fraction(run: Run) -> None:
    found = " ".join(contradictions(with_metrics(run, accuracy=90.48)))
    assert "24 of 30 correct is not the accuracy of 90.480 %" in found
    assert "balanced" in found


def test_a_class_accuracy_must_be_its_own_fraction(run: Run) -> None:
    assert run.metrics is not None
    wrong = dataclasses.replace(run.metrics.per_class[0], accuracy=99.0)
    found = " ".join(contradictions(with_metrics(run, per_class=(wrong, *run.metrics.per_class[1:]))))
    assert "of class circle" in found


def test_an_evaluation_on_another_count_than_the_test_split_is_refused(run: Run) -> None:
    epochs = tuple(dataclasses.replace(epoch, test_count=36) for epoch in run.history)
    found = contradictions(dataclasses.replace(run, history=epochs))
    assert len(found) == 4
    assert "36 test images, the test split has 30" in found[0]


def test_a_finished_run_needs_all_its_epochs(run: Run) -> None:
    config = dataclasses.replace(run.config, epochs=5)
    assert "the log has 4 epochs, the configuration 5" in contradictions(
        dataclasses.replace(run, config=config)
    )


def test_an_interrupted_run_may_have_fewer_epochs(run: Run) -> None:
    config = dataclasses.replace(run.config, epochs=5)
    assert contradictions(dataclasses.replace(run, config=config, metrics=None)) == []


def test_epochs_are_numbered_without_gaps(run: Run) -> None:
    history = (*run.history[:2], *run.history[3:])
    found = " ".join(contradictions(dataclasses.replace(run, history=history, metrics=None)))
    assert "[1, 2, 4]" in found


def test_the_best_epoch_must_be_the_best_of_the_log(run: Run) -> None:
    assert run.history[2].test_accuracy == 81.0
    (sentence,) = contradictions(with_metrics(run, best_epoch=4, best_accuracy=80.0))
    assert "81.000 % in epoch 3" in sentence


def test_the_confusion_matrix_must_agree_with_the_classes(run: Run) -> None:
    found = contradictions(with_metrics(run, confusion=((9, 1, 0), (0, 8, 2), (2, 0, 8))))
    assert found == ["class circle has 8 of 10 correct, in the confusion matrix 9 of 10"]


def test_stored_predictions_must_give_the_confusion_matrix(run: Run, synthetic: dict[str, Any]) -> None:
    logits, labels = synthetic["logits_and_labels"](3)
    assert prediction_contradictions(run, logits, labels) == []
    assert prediction_contradictions(run, -logits, labels) != []
    assert "(29, 3)" in prediction_contradictions(run, logits[:29], labels[:29])[0]


def test_stored_predictions_must_give_the_loss_and_the_confidence(
    run: Run, synthetic: dict[str, Any]
) -> None:
    logits, labels = synthetic["logits_and_labels"](3)
    (sentence,) = prediction_contradictions(with_metrics(run, loss=0.5), logits, labels)
    assert "loss of 0.6949, the evaluation says 0.5000" in sentence
    found = prediction_contradictions(run, 2 * logits, labels)
    assert any("sure on average" in sentence for sentence in found)


def test_the_bins_of_a_calibration_must_hold_every_image_and_give_the_accuracy(run: Run) -> None:
    assert run.metrics is not None
    assert run.metrics.calibration is not None
    bins = run.metrics.calibration.bins
    place = next(place for place, row in enumerate(bins) if row.count)

    def with_bin(**changes: Any) -> Run:
        assert run.metrics is not None
        assert run.metrics.calibration is not None
        changed = dataclasses.replace(bins[place], **changes)
        rows = (*bins[:place], changed, *bins[place + 1 :])
        return with_metrics(run, calibration=dataclasses.replace(run.metrics.calibration, bins=rows))

    assert "hold 29 images, 30 were evaluated" in contradictions(with_bin(count=29))[0]
    assert "are 70.000 % right, the evaluation 80.000 %" in contradictions(with_bin(accuracy=0.7))[0]
    (sentence,) = contradictions(with_bin(confidence=0.99))
    assert "have an error of 0.19000" in sentence


def test_mirror_images_must_give_their_own_fraction(run: Run) -> None:
    (sentence,) = contradictions(with_metrics(run, flip_test=FlipTest(accuracy=90.0, correct=26)))
    assert "26 of 30 correct with mirror images is not 90.000 %" in sentence


def test_weights_must_hold_the_parameters(run: Run) -> None:
    assert weight_contradictions(run, 864) == []
    assert weight_contradictions(run, 900) == []
    assert weight_contradictions(run, 863) == ["the weights hold 863 values, the network has 864 parameters"]
