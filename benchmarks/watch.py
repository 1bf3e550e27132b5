"""How long `check --watch` takes from a save to its verdict.

    python benchmarks/watch.py [--repeats 20]

The first save comes when the watch has said that it watches. A save is a rename over the file, as careful
editors do it; the verdict is there when its last line is read from a pipe. Every answer is checked: its
parameters are those of the file that was saved.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from results import machine, table, today, write_section

SMALL = """
from torch import nn
from blocks import conv


class Net(nn.Sequential):
    def __init__(self):
        super().__init__(conv(3, {width}), conv({width}, {width}), nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""

BLOCKS = """
from torch import nn


def conv(inputs, outputs):
    convolution = nn.Conv2d(inputs, outputs, {kernel}, padding={kernel} // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
"""

DEEP = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        layers = [nn.Conv2d(3, {width}, 3, padding=1)]
        for _ in range(60):
            layers += [nn.Conv2d({width}, {width}, 3, padding=1), nn.BatchNorm2d({width}), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
"""

LIBRARY = """
import torchvision


class Net(torchvision.models.ResNet):
    def __init__(self):
        super().__init__(torchvision.models.resnet.BasicBlock, [2, 2, 2, 2], num_classes={width})
"""


@dataclass(frozen=True, slots=True)
class Case:
    """What is watched, and what a save writes."""

    files: dict[str, str]
    """The first versions, by name."""
    target: str
    saved: str
    """Which file is saved again and again."""
    write: Callable[[int], str]
    """The text of a version, by its width."""
    params: Callable[[int], int]
    """How many parameters a version has."""


def notebook(code: str) -> str:
    """Return a notebook of one cell."""
    cell = {"cell_type": "code", "source": code, "metadata": {}, "outputs": [], "execution_count": 1}
    kernel = {"language_info": {"name": "python"}}
    return json.dumps({"cells": [cell], "metadata": kernel, "nbformat": 4, "nbformat_minor": 5})


def of_small(width: int, kernel: int = 3) -> int:
    """Count the parameters of `SMALL`: two convolutions without bias, two norms."""
    return (3 + width) * width * kernel**2 + 4 * width


def of_deep(width: int) -> int:
    """Count the parameters of `DEEP`."""
    return (27 + 1) * width + 60 * (9 * width**2 + width + 2 * width)


CASES = {
    "two layers": Case(
        {"blocks.py": BLOCKS.format(kernel=3)}, "model.py", "model.py",
        lambda width: SMALL.format(width=width), of_small),
    "two layers, the sibling saved": Case(
        {"model.py": SMALL.format(width=8)}, "model.py", "blocks.py",
        lambda width: BLOCKS.format(kernel=width), lambda width: of_small(8, width)),
    "two layers, in a notebook": Case(
        {"blocks.py": BLOCKS.format(kernel=3)}, "net.ipynb:Net", "net.ipynb",
        lambda width: notebook(SMALL.format(width=width)), of_small),
    "180 layers": Case({}, "model.py", "model.py", lambda width: DEEP.format(width=width), of_deep),
    "ResNet-18, importing torchvision": Case(
        {}, "model.py", "model.py",
        lambda width: LIBRARY.format(width=width), lambda width: 11_176_512 + 513 * width),
}  # fmt: skip


def main() -> None:
    """Measure every case and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    rows = []
    for name, case in CASES.items():
        times = latencies(case, repeats)
        rows.append((name, *(f"{1000 * figure:.0f}" for figure in (median(times), min(times), max(times)))))
    header = ("Network", "median", "fastest", "slowest")
    write_section(
        "watch",
        f"## From a save to its verdict\n\n{today()}. {machine()}.\n\n"
        f"`cifar-report check MODEL --max-params 1G --watch`, [ms] from the save to the verdict, {repeats} "
        "saves at odd moments. Files are looked at ten times a second, and a save counts as over when "
        "nothing has changed for 50 ms: a tenth of a second of each figure, on average. The watch imports a "
        "network's libraries after its first verdict and before it says that it watches; the saves come "
        "after that.\n\n"
        f"{table(header, rows)}",
    )


def latencies(case: Case, repeats: int) -> list[float]:
    """Return the seconds from each save to its verdict, the first check aside."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file, text in case.files.items():
            (folder / file).write_text(text, encoding="utf-8")
        save(folder / case.saved, case.write(3))
        program = Path(sys.executable).with_name("cifar-report")
        command = [program, "check", case.target, "--max-params", "1G", "--watch", "--format", "markdown"]
        process = subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            assert answer(process) == case.params(3)
            await_ready(process)
            times = []
            for width in range(4, 4 + repeats):
                time.sleep(0.3 + random.random() / 5)  # at any moment between two looks
                start = time.perf_counter()
                save(folder / case.saved, case.write(width))
                assert answer(process) == case.params(width)
                times.append(time.perf_counter() - start)
            return times
        finally:
            process.kill()
            process.wait()


def save(path: Path, text: str) -> None:
    """Write beside the file and rename."""
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def await_ready(process: subprocess.Popen[str]) -> None:
    """Wait until the watch says that it watches, and let it talk from then on."""
    assert process.stderr is not None
    next(line for line in process.stderr if line.startswith("watching "))
    threading.Thread(target=process.stderr.read, daemon=True).start()


def answer(process: subprocess.Popen[str]) -> int:
    """Wait for a verdict and return the parameters in it."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("| params"):
            return int(line.split("|")[4].replace(",", ""))
    raise SystemExit("the watch has ended")


if __name__ == "__main__":
    main()
