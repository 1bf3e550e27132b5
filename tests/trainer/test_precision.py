"""Choosing how to compute, with a child process that lives or dies."""

import os
import signal
import subprocess

import pytest
import torch

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer import precision
from cifar_report.trainer.images import facts
from cifar_report.trainer.options import Options, choose_device, make_config
from cifar_report.trainer.precision import PLAIN, Speed, candidates, fastest, measure
from cifar_report.trainer.trial import choose_speed

HALF = Speed("bfloat16", "channels_last")
ROWS = Speed("float32", "contiguous")


@pytest.fixture
def child(monkeypatch):
    """Let a small script take the trial's place."""

    def put(script):
        real = subprocess.run
        monkeypatch.setattr(precision, "_announced", lambda: True)
        monkeypatch.setattr(subprocess, "run", lambda _, **kw: real(["sh", "-c", script], **kw))

    return put


def test_a_cpu_that_stops_the_process_gets_float32(child):
    child(f"kill -{signal.SIGILL.value} $$")
    assert candidates("auto", "channels_last", "cpu") == [PLAIN]


def test_bfloat16_asked_for_there_is_an_error_that_names_the_signal(child):
    child(f"kill -{signal.SIGILL.value} $$")
    with pytest.raises(UsageError, match="stopped by signal 4"):
        candidates("bfloat16", "auto", "cpu")


def test_float16_is_not_for_cpus():
    with pytest.raises(UsageError, match="CPUs don't compute in float16"):
        candidates("float16", "auto", "cpu")


def test_bfloat16_is_a_choice_where_it_works(child):
    child("true")
    assert candidates("auto", "channels_last", "cpu") == [PLAIN, HALF]
    assert candidates("bfloat16", "channels_last", "cpu") == [HALF]
    assert len(candidates("auto", "auto", "cpu")) == 4


def test_a_cpu_that_announces_nothing_is_not_tried(monkeypatch):
    monkeypatch.setattr(precision, "_announced", lambda: False)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: os.abort())
    assert candidates("auto", "auto", "cpu") == [PLAIN, ROWS]


@pytest.mark.parametrize(
    ("seconds", "chosen"),
    [
        ({PLAIN: [1.0] * 10, HALF: [0.5] * 10, ROWS: [0.7] * 10}, HALF),
        ({PLAIN: [1.0] * 10, HALF: [0.9] * 10, ROWS: [0.8] * 10}, PLAIN),
        ({PLAIN: [1.0] * 10, HALF: [0.9] * 10, ROWS: [0.7] * 10}, ROWS),
        ({PLAIN: [1.0] * 10, HALF: [0.2] * 8 + [0.9] * 2}, PLAIN),
        ({PLAIN: [1.0] * 10, HALF: [0.2] * 9 + [5.0]}, HALF),
    ],
)
def test_another_way_must_be_worth_it_again_and_again(seconds, chosen):
    assert fastest(seconds) == chosen


def test_the_first_step_is_not_measured(monkeypatch):
    """A clock that steps move."""
    clock, durations = [0.0], {PLAIN: iter([9.0, *[0.3] * 5]), ROWS: iter([0.1, *[0.2] * 5])}
    monkeypatch.setattr(precision.time, "perf_counter", lambda: clock[0])

    def step(way):
        clock[0] += next(durations[way])

    found = measure([PLAIN, ROWS], step)
    assert {way: sum(seconds) for way, seconds in found.items()} == pytest.approx({PLAIN: 1.5, ROWS: 1.0})


def test_measuring_changes_no_weight(monkeypatch, network, make_network, data):
    monkeypatch.setattr(precision, "BUDGET", 0.0)
    config = make_config(Options(epochs=1), facts(data))
    images, labels = torch.from_numpy(data.train.images), torch.from_numpy(data.train.labels)
    assert choose_speed(network, config, [PLAIN, ROWS], (images, labels)) in (PLAIN, ROWS)
    same = make_network().state_dict()
    assert all(torch.equal(value, same[name]) for name, value in network.state_dict().items())


def test_cuda_without_cuda_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no CUDA device can be used"):
        choose_device("cuda")
    assert choose_device("auto") == "cpu"
