"""`train` and `train-and-report`, from the command line to the exit code."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file

from cifar_report.analyzer.load import load_model
from cifar_report.trainer.run import read_run
from tests.cli.trainings import FAST, NETWORK, TEST_IMAGES, TRAIN_IMAGES, call, names, train

SLOW = """
    def forward(self, x):
        import time

        try:
            time.sleep(0.05)
            return super().forward(x)
        except KeyboardInterrupt:
            print("HELD", flush=True)
            time.sleep(100)
"""
HELD_UP = """
    def forward(self, x):
        import pathlib, time

        history = pathlib.Path("run/history.jsonl")
        if history.exists() and history.read_text():
            try:
                print("READY", flush=True)
                time.sleep(100)
            except KeyboardInterrupt:
                print("HELD", flush=True)
                time.sleep(100)
        return super().forward(x)
"""


def test_the_result_is_on_stdout_and_the_talk_on_stderr(place):
    result = train("--batch-size", 8)
    assert result.exit_code == 0, result.stderr
    accuracy = read_run(place / "runs" / "colours-net").metrics.accuracy
    lines = result.stdout.splitlines()
    assert lines[0].startswith(f"test accuracy {accuracy:.2f} % (")
    assert f"of {TEST_IMAGES} images), last epoch of 2" in lines[0]
    assert lines[-1] == "runs/colours-net"
    assert [line[:9] for line in result.stderr.splitlines() if line.startswith("epoch")] == [
        "epoch 1/2",
        "epoch 2/2",
    ]


def test_a_second_run_gets_a_folder_of_its_own(place):
    train()
    assert train().stdout.splitlines()[-1] == "runs/colours-net-2"


@pytest.mark.parametrize(
    ("constraint", "state", "code"),
    [("params < 1k", "met", 0), ("test_accuracy >= 101", "not met", 1), ("epochs <= 2", "met", 0)],
)
def test_constraints_are_judged_and_decide_the_exit_code(place, constraint, state, code):
    result = train("--require", constraint)
    assert result.exit_code == code
    assert any(re.match(rf"{state} +{re.escape(constraint)}", line) for line in result.stdout.splitlines())


def test_a_constraint_that_cannot_be_read_stops_before_training(place):
    result = train("--require", "prams < 5")
    assert (result.exit_code, names(place)) == (2, ["colours", "net.py"])
    assert "params" in result.stderr


def test_an_unknown_assignment_stops_before_training(place):
    result = train("--assignment", "none-such")
    assert (result.exit_code, names(place)) == (2, ["colours", "net.py"])


def test_the_recorded_command_repeats_the_run_to_the_bit(place):
    import shlex

    train("--seed", 3, "--lr", 0.1, "--batch-size", 8, "--out", "first")
    command = shlex.split(read_run(place / "first").config.command)
    assert call(*command[2:], "--out", "second").exit_code == 0
    first, second = (place / name / "checkpoint.safetensors" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()


def test_train_and_report_prints_where_the_report_lies(place):
    result = train("--out", "out", command="train-and-report")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines()[-2:] == ["out/README.md", "out/report.html"]
    run = read_run(place / "out")
    assert f"{run.metrics.accuracy:.2f}" in (place / "out" / "README.md").read_text()


def test_a_network_that_prints_leaves_stdout_to_the_results(place):
    (place / "net.py").write_text(
        NETWORK + "\n    def forward(self, x):\n        print('HELLO')\n        return super().forward(x)\n"
    )
    result = train()
    assert result.exit_code == 0, result.stderr
    assert "HELLO" not in result.stdout
    assert "HELLO" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["net.py:Net(classes=10)", "--data", "colours"], 3, ["found:    (8, 10)", "3 classes"]),
        (["net.py", "--data", "nowhere"], 2, ["there is no data folder nowhere"]),
        (["net.py", "--data", "."], 2, [". holds no data set", "colours/"]),
        (["none.py", "--data", "colours"], 2, ["none.py"]),
        (["net.py", "--data", "colours", "--out", "net.py"], 2, ["net.py can't be written"]),
        (["net.py", "--data", "colours", "--out", "net.py/run"], 2, ["net.py/run can't be written"]),
        (["net.py", "--data", "colours", "--out", "colours"], 2, ["colours is not empty"]),
        (
            ["net.py", "--data", "colours", "--lr", "1e30", "--batch-size", "8"],
            3,
            ["loss is", "epoch 1, step"],
        ),
        (["net.py", "--data", "colours", "--epochs", "0"], 2, ["--epochs"]),
        (["net.py", "--data", "colours", "--device", "tpu"], 2, ["--device"]),
        (["net.py", "--data", "colours", "--seed", "-1"], 2, ["--seed"]),
        (["--resume", "colours"], 2, ["colours is not a run folder"]),
        (["--resume", "nowhere"], 2, ["there is no run folder nowhere"]),
        (["--resume", "colours", "--epochs", "9"], 2, ["without --epochs"]),
    ],
)
def test_bad_input_is_one_message_and_nothing_is_written(place, arguments, code, words):
    fast = [] if "--resume" in arguments else FAST
    result = call(*arguments, *fast)
    assert result.exit_code == code
    assert all(word in result.stderr for word in words), result.stderr
    assert result.stderr.count("error:") == 1
    assert "Traceback" not in result.stderr
    assert (result.stdout, names(place)) == ("", ["colours", "net.py"])


def test_cuda_without_cuda_is_said_before_anything_is_read(place, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = call("net.py", "--data", "nowhere", "--device", "cuda")
    assert result.exit_code == 2
    assert "no CUDA device can be used" in result.stderr


def test_overwrite_replaces_a_run_and_nothing_else(place):
    train("--out", "run")
    assert train("--out", "run").exit_code == 2
    assert train("--out", "run", "--overwrite", "--seed", 1).exit_code == 0
    assert read_run(place / "run").config.seed == 1
    assert train("--out", "colours", "--overwrite").exit_code == 2


def test_a_failed_replacement_leaves_the_old_run(place):
    train("--out", "run")
    before = (place / "run" / "checkpoint.safetensors").read_bytes()
    result = call("net.py:Net(classes=10)", "--data", "colours", "--out", "run", "--overwrite", *FAST)
    assert result.exit_code == 3
    assert (place / "run" / "checkpoint.safetensors").read_bytes() == before


def test_ctrl_c_says_how_to_go_on_and_the_run_ends_with_the_same_bits(place):
    """With worker processes, as a user would have it."""
    program = [sys.executable, "-m", "cifar_report.cli", "train"]
    options = ["net.py", "--data", "colours", "--epochs", "12", "--batch-size", "4"]
    options += ["--precision", "float32", "--memory-format", "channels_last"]  # measured, they may differ
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    world = {**os.environ, "OMP_NUM_THREADS": "1"}
    whole = subprocess.Popen([*program, *options, "--out", "whole"], env=world, **pipes)
    stopped = subprocess.Popen(
        [*program, *options, "--workers", "2", "--out", "stopped"], env=world, start_new_session=True, **pipes
    )
    wait_for(place / "stopped" / "history.jsonl", lines=2)
    os.killpg(stopped.pid, signal.SIGINT)
    out, talk = stopped.communicate(timeout=300)
    assert stopped.returncode == 130, talk
    assert "Traceback" not in talk
    assert "go on with: cifar-report train --resume stopped" in talk
    assert out == ""
    assert 2 <= len(read_run(place / "stopped").history) < 12
    assert not list((place / "stopped").glob(".*"))
    resumed = subprocess.run(
        [*program, "--resume", "stopped", "--workers", "1"], env=world, capture_output=True, text=True
    )
    assert resumed.returncode == 0, resumed.stderr
    _, talk = whole.communicate(timeout=300)
    assert whole.returncode == 0, talk
    first, second = (place / name / "checkpoint.safetensors" for name in ("stopped", "whole"))
    assert first.read_bytes() == second.read_bytes()


def test_a_run_killed_before_it_began_begins_again_with_all_it_was_asked_for(place):
    """The folder is claimed before torch is imported; what is killed then is a request."""
    program = [sys.executable, "-m", "cifar_report.cli", "train"]
    options = ["net.py", "--data", "colours", "--epochs", "2", "--seed", "3", "--lr", "0.1", *FAST]
    process = subprocess.Popen([*program, *options, "--out", "run"], stderr=subprocess.DEVNULL)
    wait_for(place / "run" / "request.json", lines=1)
    process.kill()
    process.wait()
    assert not (place / "run" / "config.json").exists()
    assert call("--resume", "run").exit_code == 0
    assert call(*options, "--out", "whole").exit_code == 0
    first, second = (read_run(place / name).config for name in ("run", "whole"))
    assert first == second
    first, second = (place / name / "checkpoint.safetensors" for name in ("run", "whole"))
    assert first.read_bytes() == second.read_bytes()


def test_a_second_ctrl_c_ends_at_once_and_says_how_to_go_on(place):
    """The network holds up the first one, as a slow shutdown would."""
    (place / "net.py").write_text(NETWORK + HELD_UP)
    command = [sys.executable, "-m", "cifar_report.cli", "train", "net.py", "--data", "colours", *FAST]
    pipes = {"stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, "--epochs", "500", "--out", "run"], **pipes) as process:
        assert "READY\n" in iter(process.stderr.readline, "")
        process.send_signal(signal.SIGINT)
        assert "HELD\n" in iter(process.stderr.readline, "")
        process.send_signal(signal.SIGINT)
        _, talk = process.communicate(timeout=30)
    assert process.returncode == 130
    assert talk == "stopped; go on with: cifar-report train --resume run\n"
    (place / "net.py").write_text(NETWORK)
    assert len(read_run(place / "run").history) >= 1


def test_two_processes_cannot_write_one_run(place):
    (place / "net.py").write_text(NETWORK + SLOW)
    command = [sys.executable, "-m", "cifar_report.cli", "train", "net.py", "--data", "colours", *FAST]
    with subprocess.Popen(
        [*command, "--epochs", "500", "--out", "run"], stderr=subprocess.DEVNULL
    ) as process:
        wait_for(place / "run" / "history.jsonl", lines=1)
        for arguments in (
            ["--resume", "run"],
            ["net.py", "--data", "colours", "--out", "run", "--overwrite"],
        ):
            result = call(*arguments)
            assert result.exit_code == 2
            assert f"found:    process {process.pid} on" in result.stderr
        process.kill()


GROUPS = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 4, 3, stride=4), nn.GroupNorm(2, 4), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3),
        )
"""


def test_two_processes_train_one_network_as_one_process_does(place):
    """Over gloo, for 60 steps, of which each ends with a batch that can't be halved."""
    (place / "net.py").write_text(GROUPS)
    options = ["net.py", "--data", "colours", "--batch-size", 9, "--epochs", 20, "--lr", 0.05, *FAST]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launch, "-m", "cifar_report.cli", "train", *map(str, options), "--out", "two"]
    world = {**os.environ, "OMP_NUM_THREADS": "1"}
    two = subprocess.run(command, capture_output=True, text=True, env=world)
    assert two.returncode == 0, two.stderr
    one = call(*options, "--out", "one")
    assert one.exit_code == 0, one.stderr
    assert two.stdout.count("test accuracy") == 1
    assert two.stdout.splitlines()[-1] == "two"
    torch.manual_seed(0)
    begun = load_model(str(place / "net.py")).module.state_dict()
    ends = [load_file(place / name / "checkpoint.safetensors") for name in ("one", "two")]
    for name, first in begun.items():
        moved, apart = (ends[0][name] - first).norm(), (ends[0][name] - ends[1][name]).norm()
        assert apart < 1e-3 * moved, name
    one, two = (read_run(place / name) for name in ("one", "two"))
    assert (one.config.processes, two.config.processes) == (1, 2)
    assert {epoch.train_count for epoch in two.history} == {TRAIN_IMAGES}
    assert {epoch.test_count for epoch in two.history} == {TEST_IMAGES}
    assert len(one.history) * 3 == 60


def wait_for(path, lines):
    """Wait until a file has some lines."""
    for _ in range(6000):
        if path.exists() and path.read_text().count("\n") >= lines:
            return
        time.sleep(0.05)
    raise TimeoutError(path)


def test_resuming_a_complete_run_changes_nothing(place):
    train("--out", "run")
    before = {path.name: path.read_bytes() for path in (place / "run").iterdir()}
    result = call("--resume", "run")
    assert result.exit_code == 0
    assert "run is complete: 2 of 2 epochs" in result.stderr
    assert {path.name: path.read_bytes() for path in (place / "run").iterdir()} == before


@pytest.mark.parametrize("command", ["train", "train-and-report"])
def test_help_has_examples(command):
    result = call("--help", command=command)
    assert result.exit_code == 0
    assert "Examples:" in result.stdout
    assert "--resume RUN" in result.stdout
