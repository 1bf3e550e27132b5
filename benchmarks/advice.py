"""How long `check --advise` takes, from the shell's prompt to the last line of the last diff.

    python benchmarks/advice.py [--repeats 5]

Two networks of 60 convolutions and more, each with a constraint that a single edit meets, two that take a
combination, and one that nothing meets, which spends the whole budget of the search.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from results import machine, table, today, write_section

PLAIN = """
from torch import nn


class Net(nn.Sequential):
    def __init__(self):
        layers = [nn.Conv2d(3, 16, 3, padding=1)]
        for _ in range(59):
            layers += [nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))
"""

RESIDUAL = """
import torch
from torch import nn


class Unit(nn.Module):
    def __init__(self, inside, outside, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outside)
        self.short = nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1, stride)

    def forward(self, x):
        return torch.relu(self.short(x) + self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x))))))


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.stage1 = nn.Sequential(*[Unit(16, 16) for _ in range(9)])
        self.stage2 = nn.Sequential(Unit(16, 32, 2), *[Unit(32, 32) for _ in range(9)])
        self.stage3 = nn.Sequential(Unit(32, 64, 2), *[Unit(64, 64) for _ in range(9)])
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(self.stage3(self.stage2(self.stage1(self.stem(x)))).mean((2, 3)))
"""

CASES = (
    ("60 in a row", PLAIN, ("dilated >= 1",)),
    ("60 in a row", PLAIN, ("params < 120k", "fc_after_gap == 0")),
    ("60 in a row", PLAIN, ("params < 100", "rf > 5000")),
    ("61 in residual units", RESIDUAL, ("params < 800k",)),
    ("61 in residual units", RESIDUAL, ("params < 800k", "fc_after_gap == 0")),
    ("61 in residual units", RESIDUAL, ("params < 1k", "rf > 5000")),
)


def main() -> None:
    """Measure every case and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    rows = []
    for name, text, constraints in CASES:
        runs = [advised(text, constraints) for _ in range(repeats)]
        seconds, busy = [run[0] for run in runs], [run[1] for run in runs]
        traces, proposals = runs[-1][2:]
        figures = (median(busy), median(seconds), min(seconds), max(seconds))
        said = [f"{figure:.1f}" for figure in figures]
        rows.append((name, ", ".join(constraints), str(traces), str(proposals), *said))
    header = ("Convolutions", "Missed", "traced", "proposals", "CPU", "median", "fastest", "slowest")
    write_section(
        "advice",
        f"## From a check to its advice\n\n{today()}. {machine()}.\n\n"
        f"`cifar-report check MODEL --advise`, [s] for the whole command, {repeats} times. The search ends "
        "after five seconds; loading torch and the network, and the diffs, come on top. CPU is the median of "
        "the processor's time, which doesn't depend on what else the machine does.\n\n"
        f"{table(header, rows, words=2)}",
    )


def advised(text: str, constraints: tuple[str, ...]) -> tuple[float, float, int, int]:
    """Return a command's seconds, its processor's, the networks it traced, and those it proposed."""
    program = str(Path(sys.executable).with_name("cifar-report"))
    required = [part for constraint in constraints for part in ("--require", constraint)]
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "model.py").write_text(text, encoding="utf-8")
        command = [program, "check", "model.py:Net", *required, "--advise", "--format", "json"]
        start, before = time.perf_counter(), _busy()
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        seconds, busy = time.perf_counter() - start, _busy() - before
    advice = json.loads(done.stdout)["advice"]
    return seconds, busy, advice["tried"], len(advice["proposals"])


def _busy() -> float:
    """Return the processor's seconds of all commands so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
