"""What a whole `cifar-report check` costs beside importing torch; memory; growth with the network's size.

    python benchmarks/processes.py [--repeats 9]

CPU time is user and system time of the finished process and everything it started.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from results import machine, table, today, write_section

MODEL = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
            nn.Conv2d(32, 32, 3, padding=1, groups=32), nn.Conv2d(32, 64, 1), nn.BatchNorm2d(64), nn.ReLU(),
            nn.Conv2d(64, 10, 3, padding=2, dilation=2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )

    def forward(self, x):
        return self.features(x)
"""

PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
"""Peak resident memory of a process so far [KiB on Linux]."""

BY_NAME = (
    "import torchvision; from cifar_report.analyzer import analyze, load\n"
    "network = load.load_model('torchvision:vit_h_14', values=False).module\n"
)

MEMORY = {
    "import torchvision": f"import torchvision; {PEAK}",
    "and the analyzer": f"import torchvision; import cifar_report.analyzer.assemble; {PEAK}",
    "and ViT-H/14 by name": f"{BY_NAME}{PEAK}",
    "and its analysis": f"{BY_NAME}found = analyze(network, (3, 224, 224))\n"
    f"assert found.totals.params == 632_045_800\n{PEAK}",
}

LAYERS = """
import sys, time
from statistics import median
from torch import nn
from cifar_report.analyzer import analyze
count, repeats = int(sys.argv[1]), int(sys.argv[2])
layers = [nn.Conv2d(8, 8, 3, padding=1) if i % 2 == 0 else nn.ReLU() for i in range(count)]
network = nn.Sequential(*layers)
analyze(nn.Sequential(*layers[:2]), (8, 32, 32))
times = []
for _ in range(repeats):
    start = time.process_time()
    found = analyze(network, (8, 32, 32))
    times.append(time.process_time() - start)
assert found.totals.receptive_field.output.size == (1 + 2 * ((count + 1) // 2),) * 2
print(median(times))
"""


def main() -> None:
    """Measure all three and write their section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    parts = [
        f"## Whole process, memory, growth\n\n{today()}. {machine()}.",
        whole_process(repeats),
        memory(),
        growth(max(repeats // 3, 1)),
    ]
    write_section("processes", "\n\n".join(parts))


def whole_process(repeats: int) -> str:
    """Compare a check of a small file with `import torch`, run in turn after a warm-up."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model.py"
        model.write_text(MODEL, encoding="utf-8")
        program = Path(sys.executable).with_name("cifar-report")
        bounds = ["--max-params", "100000", "--min-rf", "10"]
        commands = {
            "import torch": [sys.executable, "-c", "import torch"],
            "check": [str(program), "check", str(model), *bounds],
        }
        for command in commands.values():
            cpu_seconds(command)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for repeat in range(repeats):
            names = list(commands) if repeat % 2 == 0 else list(commands)[::-1]
            for name in names:
                times[name].append(cpu_seconds(commands[name]))
    ratios = [check / torch for check, torch in zip(times["check"], times["import torch"], strict=True)]
    return (
        f"`cifar-report check model.py {' '.join(bounds)}` as a whole process: "
        f"{1000 * median(times['check']):.0f} ms of CPU time; `python -c 'import torch'`: "
        f"{1000 * median(times['import torch']):.0f} ms. Ratio **{median(ratios):.3f}** (median of {repeats} "
        f"pairs, {min(ratios):.3f} to {max(ratios):.3f})."
    )


def cpu_seconds(command: list[str]) -> float:
    """Run a command and return the CPU time that it took."""
    before = os.times()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def memory() -> str:
    """Return how much each step adds to the peak of resident memory."""
    peaks = {name: int(_python(code)) / 1024 for name, code in MEMORY.items()}
    base = peaks["import torchvision"]
    rows = [(name, f"{peak:,.0f}", f"{peak - base:+,.0f}") for name, peak in peaks.items()]
    return "Peak resident memory [MB] of a process that does so much and no more:\n\n" + table(
        ("Process", "Peak", "Above import torchvision"), rows
    )


def growth(repeats: int) -> str:
    """Return the time per layer of ever longer chains of convolutions and activations."""
    rows = []
    for count in (10, 100, 1_000, 10_000):
        seconds = float(_python(LAYERS, str(count), str(repeats)))
        rows.append((f"{count:,}", f"{1000 * seconds:,.1f}", f"{1e6 * seconds / count:,.0f}"))
    return (
        "Chains of 3x3 convolutions and activations, analysed with their receptive fields (checked), CPU "
        "time:\n\n" + table(("Layers", "ms", "us per layer"), rows, words=0)
    )


def _python(code: str, *arguments: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.check_output([sys.executable, "-c", code, *arguments], text=True, env=environment)


if __name__ == "__main__":
    main()
