"""Training from start to end, stopped and gone on with, and refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.trainer.fit import resume, train
from cifar_report.trainer.images import Split, facts
from cifar_report.trainer.network import Network
from cifar_report.trainer.options import Options, make_config
from cifar_report.trainer.run import read_run
from cifar_report.trainer.trial import try_out

OPTIONS = Options(epochs=3, batch_size=16, precision="float32", memory_format="channels_last", workers=0)


def weights(folder):
    return (folder / "checkpoint.safetensors").read_bytes()


@pytest.fixture
def fit(data, analysis, notes):
    """Train on the colours, heard by `notes`."""

    def with_options(network, folder, **changes):
        options = replace(OPTIONS, **changes)
        return train(network, data, options, folder, notes, analysis=analysis)

    return with_options


@pytest.fixture
def run(fit, network, tmp_path):
    return fit(network, tmp_path / "run")


def test_the_network_learns(fit, make_network, tmp_path):
    run = fit(make_network(), tmp_path / "run", epochs=12)
    assert run.metrics.accuracy > 90
    assert run.history[-1].train_loss < run.history[0].train_loss / 2


def test_the_folder_is_complete_and_says_what_happened(run, notes):
    assert {path.name for path in run.folder.iterdir()} == {
        "config.json",
        "environment.json",
        "analysis.json",
        "augmentation.json",
        "history.jsonl",
        "history.csv",
        "checkpoint.safetensors",
        "state.pt",
        "predictions.npz",
        "metrics.json",
        "samples.npz",
        "log.txt",
    }
    assert [epoch.epoch for epoch in run.history] == [1, 2, 3]
    assert {(epoch.train_count, epoch.test_count) for epoch in run.history} == {(40, 15)}
    assert notes.epochs == list(run.history)
    steps = [(step.epoch, step.step) for step in notes.steps]
    assert steps == [(epoch, step) for epoch in (1, 2, 3) for step in (1, 2, 3)]
    assert len((run.folder / "log.txt").read_text().splitlines()) == 2 + 3


def test_predictions_are_the_saved_weights_on_every_test_image(run, make_network, data):
    saved = np.load(run.folder / "predictions.npz")
    network = make_network()
    network.load_state_dict(load_file(run.folder / "checkpoint.safetensors"))
    mean, std = (torch.tensor(v) for v in (run.config.data.mean, run.config.data.std))
    pixels = (torch.from_numpy(data.test.images) / 255 - mean) / std
    with torch.no_grad():
        scores = network.eval()(pixels.permute(0, 3, 1, 2)).numpy()
    assert saved["logits"] == pytest.approx(scores, abs=1e-5)
    assert saved["labels"].tolist() == data.test.labels.tolist()
    assert run.metrics.correct == int((scores.argmax(axis=1) == data.test.labels).sum())
    assert run.metrics.accuracy == run.history[-1].test_accuracy
    assert run.metrics.accuracy == pytest.approx(100 * run.metrics.correct / 15)


def test_samples_are_images_of_the_data(run, data):
    samples = np.load(run.folder / "samples.npz")
    assert samples["labels"].tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert (samples["images"][4] == data.train.images[1]).all()
    assert samples["before"].shape == samples["after"].shape
    assert (samples["before"] != samples["after"]).any()
    assert (samples["test_images"] == data.test.images[samples["test_index"]]).all()
    logits = np.load(run.folder / "predictions.npz")["logits"]
    assert (logits[samples["test_index"]].argmax(axis=1) != data.test.labels[samples["test_index"]]).all()


def test_the_same_seed_gives_the_same_bytes_with_any_workers(fit, run, make_network, tmp_path):
    again = fit(make_network(), tmp_path / "again", workers=2)
    assert weights(again.folder) == weights(run.folder)


def test_another_seed_gives_other_weights(fit, run, make_network, tmp_path):
    assert weights(fit(make_network(), tmp_path / "other", seed=1).folder) != weights(run.folder)


@pytest.mark.parametrize("stop_at", [(1, 2), (2, 1), (3, 3)])
def test_a_resumed_run_ends_with_the_bytes_of_an_uninterrupted_one(
    fit, run, make_network, data, tmp_path, notes, stop_at
):
    folder = tmp_path / "stopped"

    def step(step):
        if (step.epoch, step.step) == stop_at:
            raise KeyboardInterrupt

    notes.step = step
    with pytest.raises(KeyboardInterrupt):
        fit(make_network(), folder)
    del notes.step
    assert len(read_run(folder).history) == stop_at[0] - 1
    assert not list(folder.glob(".*"))
    torch.manual_seed(99)
    resumed = resume(make_network(), data, folder, notes, workers=1)
    assert weights(folder) == weights(run.folder)
    assert resumed.metrics.confusion == run.metrics.confusion
    assert [e.train_loss for e in resumed.history] == [e.train_loss for e in run.history]


def test_a_kill_between_two_files_of_an_epoch_is_mended(run, make_network, data, notes):
    """The state is the last epoch's, everything else is older."""
    for name in ("metrics.json", "predictions.npz"):
        (run.folder / name).unlink()
    lines = (run.folder / "history.jsonl").read_text().splitlines(keepends=True)
    (run.folder / "history.jsonl").write_text("".join(lines[:2]))
    before = weights(run.folder)
    (run.folder / "checkpoint.safetensors").write_bytes(b"older")
    resumed = resume(make_network(), data, run.folder, notes, workers=0)
    assert weights(run.folder) == before
    assert resumed.history == run.history
    assert resumed.metrics == run.metrics


def test_resuming_with_other_images_is_refused(run, make_network, data, notes):
    other = replace(data, train=Split(data.train.images ^ 1, data.train.labels))
    with pytest.raises(UsageError, match="holds other images than before"):
        resume(make_network(), other, run.folder, notes, workers=0)


def test_resuming_with_another_network_is_refused(run, data, notes):
    other = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    with pytest.raises(ModelError, match="not the one that this run began with"):
        resume(other, data, run.folder, notes, workers=0)


def test_a_damaged_state_is_named(run, make_network, data, notes):
    path = run.folder / "state.pt"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UsageError, match=r"state.pt can't be read"):
        resume(make_network(), data, run.folder, notes, workers=0)


@pytest.mark.parametrize("smoothing", [0.0, 0.05])
def test_log_probabilities_train_like_logits(fit, make_network, tmp_path, smoothing):
    plain = fit(make_network(), tmp_path / "a", label_smoothing=smoothing)
    network = make_network().append(nn.LogSoftmax(dim=1))
    logged = fit(network, tmp_path / "b", label_smoothing=smoothing)
    first, second = (load_file(r.folder / "checkpoint.safetensors") for r in (plain, logged))
    assert all(torch.allclose(first[name], second[name], rtol=1e-3, atol=1e-5) for name in first)
    assert logged.metrics.loss == pytest.approx(plain.metrics.loss, rel=1e-3)


def test_a_loss_that_is_not_finite_stops_with_epoch_and_step(fit, network, tmp_path):
    class Breaks(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network
            self.calls = 0

        def forward(self, x):
            self.calls += self.training
            return self.inner(x) * (float("nan") if self.calls > 5 else 1.0)

    with pytest.raises(ModelError, match="the loss is nan in epoch 2, step 2 of 3"):
        fit(Breaks(), tmp_path / "run")
    assert len(read_run(tmp_path / "run").history) == 1


def test_a_failure_in_the_first_epoch_leaves_no_folder(fit, network, tmp_path):
    with pytest.raises(ModelError, match="epoch 1, step"):
        fit(network, tmp_path / "run", learning_rate=1e30)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("width", [2, 10])
def test_another_number_of_outputs_than_classes_is_refused_before_training(fit, tmp_path, notes, width):
    network = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, width))
    with pytest.raises(ModelError, match=rf"\(8, 3\)(?s:.*)\(8, {width}\)(?s:.*)3 classes"):
        fit(network, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []
    assert notes.steps == []


def test_a_backward_that_raises_is_the_networks_fault(fit, tmp_path):
    class Detached(nn.Sequential):
        def forward(self, x):
            return super().forward(x).detach()

    network = Detached(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 3))
    with pytest.raises(ModelError, match="fails on a batch of training images"):
        fit(network, tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_the_trial_step_leaves_weights_gradients_and_random_state(network, make_network, data):
    network, same = make_network(), make_network()
    wrapped = Network(network, make_config(OPTIONS, facts(data)))
    torch.manual_seed(5)
    before = torch.get_rng_state()
    try_out(wrapped, torch.from_numpy(data.train.images), torch.from_numpy(data.train.labels))
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in network.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_folder_with_something_in_it_is_refused(fit, network, tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(UsageError, match=r"not empty(?s:.*)other files"):
        fit(network, tmp_path, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_run_is_replaced_only_when_asked(fit, run, make_network):
    with pytest.raises(UsageError, match=r"not empty(?s:.*)a run(?s:.*)--overwrite"):
        fit(make_network(), run.folder)
    fit(make_network(), run.folder, overwrite=True, epochs=1)
    assert len(read_run(run.folder).history) == 1
    assert [path.name for path in run.folder.parent.iterdir()] == [run.folder.name]


def test_a_folder_below_a_file_is_refused_before_training(fit, network, tmp_path, notes):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="can't be written"):
        fit(network, tmp_path / "file" / "run")
    assert notes.steps == []


def test_the_recipe_leaves_nothing_to_choose(run):
    config = json.loads((run.folder / "config.json").read_text())
    assert config["device"] in ("cpu", "cuda")
    assert config["precision"] == "float32"
    assert config["optimizer"]["weight_decay"] == 3e-4
    assert config["schedule"] == {"name": "one-cycle", "peak": 0.2, "warm_up": 0.3}


def test_a_normalize_of_the_users_is_what_the_network_sees(make_network, data, tmp_path, analysis, notes):
    """In training, in evaluation, and in what a report measures."""
    (tmp_path / "mine.py").write_text(
        "import albumentations as A\n"
        "train = A.Compose([A.HorizontalFlip(), A.Normalize(mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))])\n"
    )
    options = Options(epochs=1, batch_size=16, device="cpu", augment=str(tmp_path / "mine.py"))
    run = train(make_network(), data, options, tmp_path / "run", notes, analysis=analysis)
    assert run.config.normalize == {"mean": [0.1, 0.2, 0.3], "std": [0.5, 0.6, 0.7]}
    network = make_network()
    network.load_state_dict(load_file(run.folder / "checkpoint.safetensors"))
    pixels = (torch.from_numpy(data.test.images) / 255 - torch.tensor([0.1, 0.2, 0.3])) / torch.tensor(
        [0.5, 0.6, 0.7]
    )
    with torch.no_grad():
        scores = network.eval()(pixels.permute(0, 3, 1, 2)).numpy()
    assert np.load(run.folder / "predictions.npz")["logits"] == pytest.approx(scores, abs=1e-5)
