"""Whether a network is compiled for its training, and what it is then."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer import trial
from cifar_report.trainer.compiling import Compiled
from cifar_report.trainer.fit import resume, train
from cifar_report.trainer.images import facts
from cifar_report.trainer.network import Network
from cifar_report.trainer.options import Options, make_config
from cifar_report.trainer.trial import choose_compiled
from tests.trainer.conftest import needs_compiler

OPTIONS = Options(epochs=2, batch_size=16, precision="float32", memory_format="channels_last", workers=0)


class Compiler:
    """Stands in for `torch.compile`; fails where it is told to."""

    def __init__(self):
        self.batches, self.problem, self.how = [], None, {}

    def __call__(self, module, **how):
        self.how = how

        def fast(images):
            if self.problem:
                raise self.problem
            self.batches.append(len(images))
            return module(images)

        return fast


@pytest.fixture
def compiler(monkeypatch):
    made = Compiler()
    monkeypatch.setattr(torch, "compile", made)
    return made


@pytest.fixture
def choose(network, data, notes):
    config = make_config(OPTIONS, facts(data))
    batch = torch.from_numpy(data.train.images[:16]), torch.from_numpy(data.train.labels[:16])

    def with_steps(asked, steps=1):
        return choose_compiled(network, config, asked, steps, batch, notes)

    return with_steps


@pytest.fixture
def seconds(monkeypatch):
    """Say how long the steps take, as it is and compiled."""

    def take(plain, compiled):
        monkeypatch.setattr(trial, "_seconds", lambda *_: plain)
        monkeypatch.setattr(trial, "measure", lambda *_: {False: [plain] * 10, True: [compiled] * 10})

    return take


def test_batches_of_another_size_run_as_they_are(compiler):
    network = Compiled(nn.Flatten(), torch.device("cpu"))
    for count in (4, 4, 3, 4):
        assert network(torch.ones(count, 2, 5)).shape == (count, 10)
    assert compiler.batches == [4, 4, 4]


def test_it_holds_the_parameters_once():
    layer = nn.Linear(2, 3)
    assert list(Compiled(layer, torch.device("cpu")).state_dict()) == ["module.weight", "module.bias"]


@pytest.mark.parametrize(
    ("channels", "device", "cpu", "options"),
    [
        ((8, 32), "cpu", "AVX512", {"cpp.simdlen": 256}),
        ((16, 32), "cpu", "AVX512", None),
        ((8, 32), "cpu", "AVX2", None),
        ((8, 32), "cuda", "AVX512", None),
    ],
)
def test_few_channels_are_summed_in_shorter_vectors(compiler, monkeypatch, channels, device, cpu, options):
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: cpu)
    norms = nn.Sequential(*(nn.BatchNorm2d(count) for count in channels))
    Compiled(norms, torch.device(device))
    assert compiler.how["options"] == options


@pytest.mark.parametrize(("plain", "steps"), [(0.3, 1_999), (600.0, 999)])
def test_a_short_training_is_not_compiled(compiler, choose, seconds, notes, plain, steps):
    seconds(plain, 0.1)
    assert choose("auto", steps=steps) is False
    assert (compiler.batches, notes.works, notes.notes) == ([], [], [])


@pytest.mark.parametrize(
    ("plain", "compiled", "chosen", "note"),
    [
        (1.0, 0.8, True, "the network is compiled: a step takes 1,000 ms, compiled 800 ms"),
        (1.0, 0.95, False, "the network trains as it is: a step takes 1,000 ms, compiled 950 ms"),
    ],
)
def test_a_long_one_is_where_that_is_faster(compiler, choose, seconds, notes, plain, compiled, chosen, note):
    seconds(plain, compiled)
    assert choose("auto", steps=1_000) is chosen
    assert notes.works == [("compiling the network", 0, 1), ("compiling the network", 1, 1)]
    assert notes.notes == [note]


def test_off_is_off_and_on_is_on(compiler, choose, seconds):
    seconds(1.0, 2.0)
    assert choose("off", steps=10**9) is False
    assert compiler.batches == []
    assert choose("on") is True
    assert compiler.batches == [16]


def test_without_a_compiler_auto_says_so_and_trains(compiler, choose, seconds, notes):
    compiler.problem = RuntimeError("No working C++ compiler found\nand more")
    seconds(1.0, 0.1)
    assert choose("auto", steps=1_000) is False
    (note,) = notes.notes
    assert note.endswith("for it can't be compiled: RuntimeError: No working C++ compiler found")
    with pytest.raises(UsageError, match=r"--compile on(?s:.*)No working C\+\+ compiler(?s:.*)--compile off"):
        choose("on")


def test_trying_changes_no_weight(choose, compiler, network, make_network):
    choose("on")
    same = make_network().state_dict()
    assert all(torch.equal(value, same[name]) for name, value in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_run_that_began_compiled_is_not_gone_on_with_otherwise(
    compiler, data, analysis, notes, make_network, tmp_path
):
    def step(step):
        if step.epoch == 2:
            raise KeyboardInterrupt

    notes.step = step
    with pytest.raises(KeyboardInterrupt):
        train(
            make_network(), data, replace(OPTIONS, compile="on"), tmp_path / "run", notes, analysis=analysis
        )
    assert compiler.batches == [16, 16, 16, 16]  # of the trial, and of epochs of 16, 16 and 8 images
    compiler.problem = RuntimeError("none here")
    with pytest.raises(UsageError, match=r"began with a compiled network(?s:.*)none here"):
        resume(make_network(), data, tmp_path / "run", notes, workers=0)


@needs_compiler
def test_compiled_a_network_computes_the_same(data, make_network):
    config = make_config(OPTIONS, facts(data))
    compiled = replace(config, extra={**config.extra, "compiled": True})
    images = torch.from_numpy(data.train.images[:16])
    found = []
    for recipe in (config, compiled):
        network = Network(make_network().train(), recipe)
        torch.manual_seed(3)
        scores = network.scores(images, training=True)
        scores.square().sum().backward()
        found.append([scores, *(parameter.grad for parameter in network.module.parameters())])
    for mine, theirs in zip(*found, strict=True):
        assert torch.allclose(mine, theirs, rtol=1e-4, atol=1e-4)  # a bias before a norm has a gradient of 0
