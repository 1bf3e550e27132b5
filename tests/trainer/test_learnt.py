"""Runs that begin with what another has learnt, or learn from it."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.trainer.fit import resume, train
from cifar_report.trainer.learnt import begin_with
from cifar_report.trainer.measurements import measurements
from cifar_report.trainer.options import Options
from cifar_report.trainer.passport import read_passport
from cifar_report.trainer.run import read_run
from cifar_report.trainer.teacher import make_teacher

OPTIONS = Options(epochs=3, batch_size=16, precision="float32", memory_format="channels_last", workers=0)


def weights(folder):
    return (folder / "checkpoint.safetensors").read_bytes()


@pytest.fixture
def fit(data, analysis, notes, make_network):
    def with_options(folder, module=None, teacher=None, **changes):
        options = replace(OPTIONS, **changes)
        module = module or make_network()
        return train(module, data, options, folder, notes, analysis=analysis, teacher=teacher)

    return with_options


@pytest.fixture
def learnt(fit, tmp_path):
    return fit(tmp_path / "learnt", epochs=6)


@pytest.fixture
def teach(learnt, make_network):
    def with_weight(weight, facts=learnt.config.data):
        return make_teacher(make_network(), learnt, facts, weight, 2.0)

    return with_weight


def stop(fit, notes, *arguments, **changes):
    """Begin a run and stop it in its second epoch."""

    def step(step):
        if step.epoch == 2:
            raise KeyboardInterrupt

    notes.step = step
    with pytest.raises(KeyboardInterrupt):
        fit(*arguments, **changes)
    del notes.step


def test_a_run_that_learns_from_another_goes_on_with_it(fit, teach, make_network, data, tmp_path, notes):
    whole = fit(tmp_path / "whole", teacher=teach(0.5))
    assert weights(whole.folder) != weights(fit(tmp_path / "plain").folder)
    assert whole.config.teacher["weight"] == 0.5
    stop(fit, notes, tmp_path / "stopped", teacher=teach(0.5))
    with pytest.raises(UsageError, match="its teacher is not what it was"):
        resume(make_network(), data, tmp_path / "stopped", notes)
    resume(make_network(), data, tmp_path / "stopped", notes, teacher=teach(0.5))
    assert weights(tmp_path / "stopped") == weights(whole.folder)


def test_learning_only_from_a_teacher_needs_no_labels(fit, teach, tmp_path):
    """With all the weight on the teacher, the network does what the teacher does."""
    run = fit(tmp_path / "run", teacher=teach(1.0), epochs=12)
    assert run.history[-1].train_accuracy > 60


def test_a_run_begins_with_the_weights_of_another(fit, learnt, make_network, data, tmp_path):
    module = make_network()
    start = begin_with(module, learnt, learnt.config.data)
    for name, value in load_file(learnt.folder / "checkpoint.safetensors").items():
        assert torch.equal(module.state_dict()[name], value)
    run = fit(tmp_path / "run", module, start=start, learning_rate=1e-9, average=0.0, epochs=1)
    assert run.config.start == {"run": str(learnt.folder), "weights": start["weights"], "epochs": 6}
    assert run.history[0].train_accuracy > fit(tmp_path / "new", epochs=1).history[0].train_accuracy


def test_epochs_before_a_run_are_added_up(fit, learnt, make_network, tmp_path):
    module = make_network()
    second = fit(tmp_path / "second", module, start=begin_with(module, learnt, learnt.config.data))
    assert begin_with(make_network(), second, second.config.data)["epochs"] == 6 + 3
    assert measurements(second)["epochs"] == 6 + 3
    assert read_passport(second.folder / "checkpoint.safetensors").epochs == 6 + 3


def test_a_run_that_was_begun_with_another_goes_on_without_it(
    fit, learnt, make_network, data, tmp_path, notes
):
    def begun():
        module = make_network()
        return module, begin_with(module, learnt, learnt.config.data)

    module, start = begun()
    whole = fit(tmp_path / "whole", module, start=start)
    module, start = begun()
    stop(fit, notes, tmp_path / "stopped", module, start=start)
    resume(make_network(), data, tmp_path / "stopped", notes)
    assert weights(tmp_path / "stopped") == weights(whole.folder)


@pytest.mark.parametrize("use", ["teach", "begin"])
class TestRefused:
    @pytest.fixture
    def take(self, use, learnt, make_network):
        def with_facts(facts=learnt.config.data, module=None):
            run = read_run(learnt.folder)
            if use == "teach":
                return make_teacher(module or make_network(), run, facts, 0.5, 2.0)
            return begin_with(module or make_network(), run, facts)

        return with_facts

    def test_what_may_have_seen_the_test_images(self, take, learnt):
        with pytest.raises(UsageError, match="may have seen these in training"):
            take(replace(learnt.config.data, test_hash="f" * 64))

    def test_what_has_learnt_from_images_that_are_held_out(self, take, learnt):
        with pytest.raises(UsageError, match=r"held out here(?s:.*)--val 9(?s:.*)--val 0"):
            take(replace(learnt.config.data, validation_count=9))

    def test_what_is_not_finished(self, take, learnt):
        (learnt.folder / "metrics.json").unlink()
        with pytest.raises(UsageError, match="an unfinished one"):
            take()

    def test_what_has_no_weights(self, take, learnt):
        (learnt.folder / "checkpoint.safetensors").unlink()
        with pytest.raises(UsageError, match=r"no checkpoint\.safetensors"):
            take()

    def test_what_is_of_another_network(self, take):
        with pytest.raises(ModelError, match=r"does not fit the network(?s:.*)size mismatch for 0.bias"):
            take(module=nn.Sequential(nn.Linear(2, 2)))
