"""Kills, full disks and second processes: what is in a run's folder is a run, or says how to go on."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.claim import claimed
from cifar_report.trainer.fit import resume, train
from cifar_report.trainer.lock import LOCK_FILE, locked
from cifar_report.trainer.options import Options
from cifar_report.trainer.run import read_run

OPTIONS = Options(epochs=3, batch_size=16, precision="float32", memory_format="channels_last", workers=0)
HOLD = """
import sys
from pathlib import Path
from cifar_report.trainer.listen import Listener
from cifar_report.trainer.lock import locked
with locked(Path(sys.argv[1]), Listener()):
    print("held", flush=True)
    sys.stdin.read()
"""


def weights(folder):
    return (folder / "checkpoint.safetensors").read_bytes()


@pytest.fixture
def run(data, network, notes, analysis, tmp_path):
    return train(network, data, OPTIONS, tmp_path / "whole", notes, analysis=analysis)


@pytest.fixture
def holder(tmp_path):
    """Another process that holds a folder until it is killed."""
    (tmp_path / "held").mkdir()
    command = [sys.executable, "-c", HOLD, str(tmp_path / "held")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_run_killed_at_any_of_its_writes_ends_with_the_bytes_of_the_whole_one(tmp_path):
    script = Path(__file__).with_name("killed_writes.py")
    world = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, env=world)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


def test_a_second_process_is_refused_and_told_who_writes(holder, tmp_path, notes):
    held = tmp_path / "held"
    named = rf"another process(?s:.*)process {holder.pid} on"
    with pytest.raises(UsageError, match=named), locked(held, notes):
        pass
    with pytest.raises(UsageError, match=named), claimed(held, notes):
        pass


def test_a_lock_ends_with_its_process(holder, tmp_path, notes):
    holder.kill()
    holder.wait()
    assert (tmp_path / "held" / LOCK_FILE).exists()
    with locked(tmp_path / "held", notes):
        pass
    assert list((tmp_path / "held").iterdir()) == []


def test_a_lock_does_not_live_on_in_worker_processes(tmp_path, notes):
    with locked(tmp_path, notes):
        child = os.fork()
        if child == 0:
            import time

            time.sleep(60)
            os._exit(0)
    try:
        command = [sys.executable, "-c", HOLD, str(tmp_path)]
        second = subprocess.run(command, input="", capture_output=True, text=True)
        assert second.stdout == "held\n"
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_full_disk_stops_with_a_message_and_the_run_goes_on_to_the_same_bits(
    run, make_network, data, notes, analysis, tmp_path
):
    """No file may grow beyond a limit that the third epoch's state exceeds."""
    folder, before = tmp_path / "full", resource.getrlimit(resource.RLIMIT_FSIZE)

    def step(step):
        if (step.epoch, step.step) == (3, 1):
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))

    notes.step = step
    try:
        with pytest.raises(UsageError, match=r"state.pt can't be written(?s:.*)--resume"):
            train(make_network(), data, OPTIONS, folder, notes, analysis=analysis)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    del notes.step
    assert len(read_run(folder).history) == 2
    assert not list(folder.glob(".*"))
    resume(make_network(), data, folder, notes, workers=0)
    assert weights(folder) == weights(run.folder)


def test_a_disk_that_is_full_from_the_start_leaves_no_folder(network, data, notes, analysis, tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(UsageError, match="can't be written"):
            train(network, data, OPTIONS, tmp_path / "full", notes, analysis=analysis)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_only_claimed_is_free(notes, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "request.json").write_text(json.dumps({"seed": 1}))
    (tmp_path / "run" / LOCK_FILE).touch()
    with claimed(tmp_path / "run", notes, request={"seed": 2}) as claim:
        assert json.loads((claim.folder / "request.json").read_text()) == {"seed": 2}


def test_a_claim_that_fails_leaves_what_was_there(run, make_network, data, notes, analysis):
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    with pytest.raises(RuntimeError), claimed(run.folder, notes, overwrite=True):
        raise RuntimeError
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before
    again = replace(OPTIONS, overwrite=True, seed=1)
    assert train(make_network(), data, again, run.folder, notes, analysis=analysis).config.seed == 1
