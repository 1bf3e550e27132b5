"""Evaluation against counting by hand."""

from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn

from cifar_report.trainer.augment import assignment_pipeline
from cifar_report.trainer.evaluate import Evaluation, evaluate, make_metrics
from cifar_report.trainer.images import facts
from cifar_report.trainer.network import Network
from cifar_report.trainer.options import Options, make_config
from cifar_report.trainer.results import Epoch
from cifar_report.trainer.samples import most_confident_errors


@pytest.fixture
def config(data):
    return make_config(Options(epochs=1, precision="float32"), facts(data))


@pytest.fixture
def evaluation():
    rng = np.random.default_rng(8)
    scores = rng.normal(size=(60, 3)).astype(np.float32)
    return Evaluation(scores, np.arange(60, dtype=np.int64) % 3, 1.5)


def epoch(number, accuracy):
    return Epoch(number, 1.0, 50.0, 1.5, accuracy, 40, 60, 0.1, 2.0, 20.0)


def test_scores_are_those_of_the_plain_network_in_eval_mode(network, data, config):
    found = evaluate(Network(network, config), data.test)
    normalise = assignment_pipeline(facts(data), mirror=True).transforms[-1]
    network.train(False)
    for index, image in enumerate(data.test.images):
        pixels = torch.from_numpy(normalise(image=image)["image"]).permute(2, 0, 1)[None]
        assert found.scores[index] == pytest.approx(network(pixels)[0].detach().numpy(), abs=1e-5)
    assert found.labels.tolist() == data.test.labels.tolist()


def test_a_network_that_returns_too_few_rows_is_caught(data, config):
    class Half(nn.Module):
        def forward(self, x):
            return torch.zeros(len(x) // 2, 3)

    with pytest.raises(Exception, match=r"output does not fit(?s:.*)\(15, 3\)(?s:.*)\(7, 3\)"):
        evaluate(Network(Half(), config), data.test)


def test_confusion_and_classes_are_what_counting_gives(evaluation):
    metrics = make_metrics(evaluation, ("a", "b", "c"), (epoch(1, 10.0),))
    pairs = Counter(
        (int(label), max(range(3), key=lambda c: row[c]))
        for label, row in zip(evaluation.labels, evaluation.scores, strict=True)
    )
    assert {(t, p): metrics.confusion[t][p] for t in range(3) for p in range(3) if pairs[t, p]} == dict(pairs)
    assert [row.correct for row in metrics.per_class] == [pairs[c, c] for c in range(3)]
    assert [row.count for row in metrics.per_class] == [20, 20, 20]
    assert metrics.accuracy == pytest.approx(sum(row.accuracy for row in metrics.per_class) / 3)
    assert metrics.correct == sum(row.correct for row in metrics.per_class)


@pytest.mark.parametrize("weights", [(1, 1, 1), (7, 2, 1)])
def test_accuracies_and_confusion_are_torchmetrics(weights):
    """On classes of one size and of very different ones, with scores that are often right."""
    from torchmetrics.classification import MulticlassAccuracy, MulticlassConfusionMatrix

    rng = np.random.default_rng(3)
    labels = rng.choice(3, 600, p=np.array(weights) / sum(weights)).astype(np.int64)
    scores = rng.normal(size=(600, 3)).astype(np.float32) + 1.5 * np.eye(3, dtype=np.float32)[labels]
    metrics = make_metrics(Evaluation(scores, labels, 1.0), ("a", "b", "c"), (epoch(1, 10.0),))
    pair = torch.from_numpy(scores), torch.from_numpy(labels)
    overall = MulticlassAccuracy(num_classes=3, average="micro")(*pair).item()
    per_class = MulticlassAccuracy(num_classes=3, average=None)(*pair).tolist()
    assert metrics.accuracy == pytest.approx(100 * overall, abs=1e-4)
    assert [row.accuracy for row in metrics.per_class] == pytest.approx(
        [100 * a for a in per_class], abs=1e-4
    )
    assert np.array_equal(metrics.confusion, MulticlassConfusionMatrix(num_classes=3)(*pair).numpy())


def test_the_last_epoch_is_the_headline_and_the_best_only_named(evaluation):
    history = (epoch(1, 30.0), epoch(2, 90.0), epoch(3, evaluation.accuracy))
    metrics = make_metrics(evaluation, ("a", "b", "c"), history)
    assert (metrics.epoch, metrics.accuracy) == (3, evaluation.accuracy)
    assert (metrics.best_epoch, metrics.best_accuracy) == (2, 90.0)
    assert metrics.seconds == 6.0


def test_errors_are_sorted_by_the_probability_of_the_wrong_class(evaluation):
    chances = torch.softmax(torch.from_numpy(evaluation.scores), dim=1).max(dim=1).values
    found = most_confident_errors(evaluation)
    wrong = [i for i in range(60) if evaluation.scores[i].argmax() != i % 3]
    assert found.tolist() == sorted(wrong, key=lambda i: -chances[i])[:25]
