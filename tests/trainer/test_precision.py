"""Choosing the precision, with a child process that lives or dies."""

import os
import signal
import subprocess

import pytest
import torch

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer import precision
from cifar_report.trainer.options import choose_device
from cifar_report.trainer.precision import choose_precision


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
    assert choose_precision("auto", "cpu") == "float32"


def test_bfloat16_asked_for_there_is_an_error_that_names_the_signal(child):
    child(f"kill -{signal.SIGILL.value} $$")
    with pytest.raises(UsageError, match="stopped by signal 4"):
        choose_precision("bfloat16", "cpu")


@pytest.mark.parametrize(("factor", "chosen"), [("2.5", "bfloat16"), ("1.1", "float32"), ("0.5", "float32")])
def test_it_must_be_worth_it(child, factor, chosen):
    child(f"echo {factor}")
    assert choose_precision("auto", "cpu") == chosen


def test_asked_for_it_is_taken_where_it_works(child):
    child("echo 0.5")
    assert choose_precision("bfloat16", "cpu") == "bfloat16"


def test_a_cpu_that_announces_nothing_is_not_tried(monkeypatch):
    monkeypatch.setattr(precision, "_announced", lambda: False)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: os.abort())
    assert choose_precision("auto", "cpu") == "float32"


def test_cuda_without_cuda_is_an_error(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(UsageError, match="no CUDA device can be used"):
        choose_device("cuda")
    assert choose_device("auto") == "cpu"
