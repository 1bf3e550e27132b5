"""What a recipe can ask for, each in a run that is stopped and gone on with."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from cifar_report.analyzer import analyze
from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.reporter.facts import gather
from cifar_report.trainer import precision
from cifar_report.trainer.averages import make_average
from cifar_report.trainer.evaluate import evaluate
from cifar_report.trainer.fit import resume, train
from cifar_report.trainer.images import Split
from cifar_report.trainer.measurements import measurements
from cifar_report.trainer.network import Network
from cifar_report.trainer.options import Options
from cifar_report.trainer.run import read_run
from tests.trainer.conftest import needs_compiler, small_network

OPTIONS = Options(epochs=3, batch_size=16, precision="float32", memory_format="channels_last", workers=0)


def weights(folder):
    return (folder / "checkpoint.safetensors").read_bytes()


@pytest.fixture(scope="module")
def analysis():
    """Of the network in truth, since reports are made of these runs."""
    return analyze(small_network(), (3, 32, 32), name="small")


@pytest.fixture
def fit(data, analysis, notes, make_network):
    def with_options(folder, **changes):
        return train(make_network(), data, replace(OPTIONS, **changes), folder, notes, analysis=analysis)

    return with_options


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adamw", "learning_rate": 0.01, "schedule": "cosine", "warm_up": 0.2},
        {"schedule": "step", "step_times": 1},
        {"schedule": "constant", "momentum": 0.0, "clip": 0.5},
        {"mixup": 0.4, "cutmix": 1.0},
        {"average": 0.9},
        {"validation": 9, "flip_test": True},
        {"precision": "float16"},  # as on a GPU, with the gradients scaled
        {"memory_format": "contiguous"},
        pytest.param({"compile": "on"}, marks=needs_compiler),
    ],
    ids=lambda changes: "-".join(changes),
)
def test_a_resumed_run_ends_with_the_bytes_of_the_whole_one_and_can_be_reported(
    fit, make_network, data, tmp_path, notes, changes, monkeypatch
):
    monkeypatch.setattr(precision, "_refuse_unusable", lambda _: None)
    whole = fit(tmp_path / "whole", **changes)
    plain = fit(tmp_path / "plain")
    assert weights(whole.folder) != weights(plain.folder)

    def step(step):
        if (step.epoch, step.step) == (2, 2):
            raise KeyboardInterrupt

    notes.step = step
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "stopped", **changes)
    del notes.step
    resumed = resume(make_network(), data, tmp_path / "stopped", notes, workers=0)
    assert weights(resumed.folder) == weights(whole.folder)
    assert replace(resumed.metrics, seconds=0) == replace(whole.metrics, seconds=0)
    assert gather(whole.folder).run == whole


def test_averaged_weights_are_those_that_are_saved_and_judged(fit, make_network, data, tmp_path):
    run = fit(tmp_path / "run", average=0.9)
    network = make_network()
    network.load_state_dict(load_file(run.folder / "checkpoint.safetensors"))
    found = evaluate(Network(network, run.config), data.test)
    saved = np.load(run.folder / "predictions.npz")["logits"]
    assert found.scores == pytest.approx(saved, abs=1e-5)


def test_an_average_follows_with_its_decay_after_a_quick_start():
    layer = nn.Linear(1, 1, bias=False)
    average = make_average(layer, 0.9)
    expected = None
    for step in range(200):
        with torch.no_grad():
            layer.weight.fill_(step)
        average.update_parameters(layer)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = float(step) if expected is None else decay * expected + (1 - decay) * step
        assert float(average.module.weight.detach()) == pytest.approx(expected, rel=1e-4)


def test_with_validation_the_test_images_are_looked_at_once(fit, data, tmp_path, monkeypatch):
    from cifar_report.trainer import fit as module

    seen = []
    monkeypatch.setattr(
        module, "evaluate", lambda n, split, *a, **k: seen.append(len(split.labels)) or evaluate(n, split)
    )
    run = fit(tmp_path / "run", validation=9)
    assert seen == [9, 9, 9, 15]
    assert (run.config.data.train_count, run.config.data.validation_count) == (31, 9)
    assert {(epoch.train_count, epoch.validation_count, epoch.test_count) for epoch in run.history} == {
        (31, 9, 0)
    }
    assert {epoch.test_accuracy for epoch in run.history} == {None}
    assert run.metrics.best_on == "validation"
    assert run.metrics.best_accuracy == max(epoch.validation_accuracy for epoch in run.history)
    assert run.metrics.count == 15
    found = measurements(run)
    assert found["test_accuracy"] == run.metrics.accuracy
    assert "test_accuracy.history" not in found


def test_mirror_images_are_judged_apart(fit, data, tmp_path):
    run = fit(tmp_path / "run", flip_test=True)
    assert run.metrics.accuracy == run.history[-1].test_accuracy
    network = nn.Sequential(nn.AvgPool2d(32), nn.Flatten(), nn.Linear(3, 3))
    wrapped = Network(network, run.config)
    mirrored = evaluate(wrapped, data.test, mirrored=True)
    flipped = Split(np.ascontiguousarray(data.test.images[:, :, ::-1]), data.test.labels)
    assert mirrored.scores == pytest.approx(evaluate(wrapped, flipped).scores, abs=1e-6)


def test_mirror_images_of_signs_are_refused(data, analysis, notes, make_network, tmp_path):
    signs = replace(data, mirrored_is_same=False)
    with pytest.raises(UsageError, match="other signs"):
        train(
            make_network(),
            signs,
            replace(OPTIONS, flip_test=True),
            tmp_path / "run",
            notes,
            analysis=analysis,
        )


def test_a_run_of_an_earlier_version_is_read_but_not_gone_on_with(fit, make_network, data, tmp_path, notes):
    run = fit(tmp_path / "run")
    path = run.folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 1}))
    assert read_run(run.folder).config.schema_version == 1
    with pytest.raises(UsageError, match=r"another version(?s:.*)schema version 2(?s:.*)schema version 1"):
        resume(make_network(), data, run.folder, notes)


@pytest.mark.parametrize(("place", "what"), [("output", "output"), ("weights", "weights")])
def test_a_loss_that_is_not_finite_names_the_layer(data, analysis, notes, tmp_path, place, what):
    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))
            self.calls = 0

        def forward(self, x):
            self.calls += self.training
            if self.calls < 6:
                return x * self.weight
            if place == "weights":
                with torch.no_grad():
                    self.weight.fill_(float("inf"))
            return x * self.weight * float("inf")

    network = nn.Sequential(nn.Flatten(), nn.Linear(3072, 4), Breaks(), nn.ReLU(), nn.Linear(4, 3))
    with pytest.raises(ModelError, match=rf"epoch 2, step 2 of 3(?s:.*)the {what} of layer 2 \(Breaks\)"):
        train(network, data, OPTIONS, tmp_path / "run", notes, analysis=analysis)
