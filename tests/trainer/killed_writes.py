"""A run killed at each of its writes and gone on with; `test_kills.py` starts this with one thread.

`os._exit` leaves what SIGKILL leaves: locks open, files half written, nothing cleaned up.
"""

import hashlib
import os
import shutil
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from cifar_report.analyzer import analyze
from cifar_report.trainer.fit import resume, train
from cifar_report.trainer.images import ImageData, Split
from cifar_report.trainer.listen import Listener
from cifar_report.trainer.options import Options

KILLED = 9


def images(seed):
    rng = np.random.default_rng(seed)
    return Split(rng.integers(0, 255, (12, 32, 32, 3), dtype=np.uint8), np.arange(12, dtype=np.int64) % 3)


def network():
    torch.manual_seed(7)
    return nn.Sequential(nn.Conv2d(3, 4, 3, stride=8), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(64, 3))


DATA = ImageData("noise", ("a", "b", "c"), images(1), images(2))
ANALYSIS = analyze(network(), (3, 32, 32))


def run(folder, seed=0, overwrite=False):
    options = Options(
        epochs=2,
        batch_size=8,
        precision="float32",
        memory_format="channels_last",
        workers=0,
        seed=seed,
        overwrite=overwrite,
    )
    train(network(), DATA, options, folder, Listener(), analysis=ANALYSIS)


def go_on(folder):
    if (folder / "config.json").exists() and not (folder / "request.json").exists():
        resume(network(), DATA, folder, Listener(), workers=0)
    else:
        run(folder)


def in_child(work):
    """Return the exit code of what runs in a process of its own."""
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(write, work):
    """Return work that ends with its process just before it renames its nth file."""
    real, seen = Path.replace, []

    def replace(path, target):
        seen.append(path)
        if len(seen) == write:
            os._exit(KILLED)
        return real(path, target)

    def patched():
        Path.replace = replace
        work()

    return patched


def weights(folder):
    content = (folder / "checkpoint.safetensors").read_bytes()
    left = sorted(path.name for path in folder.iterdir() if path.name.startswith((".", "run.", "request")))
    return hashlib.sha256(content).hexdigest(), left


def main(place):
    """Print how many kills there were; any difference is an AssertionError."""
    run(place / "whole")  # in this process, so that its children find everything imported
    assert in_child(lambda: run(place / "old", seed=1)) == 0
    expected, other = weights(place / "whole"), weights(place / "old")
    assert expected != other
    kills = 0
    for overwrite in (False, True):
        for write in range(1, 1000):
            folder = place / f"{overwrite}-{write}"
            if overwrite:
                shutil.copytree(place / "old", folder)
            code = in_child(killed_at(write, partial(run, folder, overwrite=overwrite)))
            if code == 0:
                break
            assert code == KILLED, code
            kills += 1
            if overwrite and not (folder / "request.json").exists() and weights(folder)[0] == other[0]:
                continue
            assert in_child(partial(go_on, folder)) == 0
            assert weights(folder) == expected, (overwrite, write)
    print(kills)


if __name__ == "__main__":
    warnings.simplefilter("error")
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
