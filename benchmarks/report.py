"""How long a report of a run of 60 epochs takes, as a whole process, and how large its page is.

    python benchmarks/report.py [RUN] [--repeats 5]

RUN is the CIFAR-10 sample by default. In a copy its history is made 60 epochs long by repeating its first
epoch; everything else is the run's own. Wall time is what a user waits, CPU time what other work beside
changes least.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from results import machine, table, today, write_section

SAMPLE = Path(__file__).parents[1] / "sample_reports" / "cifar10"
EPOCHS = 60


def main() -> None:
    """Measure, and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?", default=SAMPLE)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        run = lengthened(given.run, Path(place, "run"))
        measured = [once(run, Path(place, f"report{number}")) for number in range(given.repeats)]
    walls, cpus, sizes = zip(*measured, strict=True)
    rows = [
        ["wall time [s]", f"{median(walls):.2f}", f"{min(walls):.2f}", f"{max(walls):.2f}"],
        ["CPU time [s]", f"{median(cpus):.2f}", f"{min(cpus):.2f}", f"{max(cpus):.2f}"],
        ["report.html [MB]", f"{median(sizes):.2f}", f"{min(sizes):.2f}", f"{max(sizes):.2f}"],
    ]
    text = "\n\n".join([
        "## A report of 60 epochs",
        f"{today()}; {machine()}. `cifar-report report` as a whole process, {given.repeats} times: "
        "README.md, report.html and all pictures in both themes.",
        table(("", "median", "least", "most"), rows),
    ])  # fmt: skip
    print(text)
    write_section("report", text)


def lengthened(run: Path, copy: Path) -> Path:
    """Copy a run, with 60 epochs."""
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("figures", "screenshots", "*.md", "*.html"))
    rows = [json.loads(line) for line in (copy / "history.jsonl").read_text(encoding="utf-8").splitlines()]
    more = EPOCHS - len(rows)
    rows = [rows[0]] * more + rows
    lines = [json.dumps({**row, "epoch": number}) for number, row in enumerate(rows, 1)]
    (copy / "history.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name, changes in (
        ("config.json", lambda old: {"epochs": EPOCHS}),
        ("metrics.json", lambda old: {
            "epoch": EPOCHS,
            "best_epoch": old["best_epoch"] + more,
            "seconds": sum(row["seconds"] for row in rows),
        }),
    ):  # fmt: skip
        old = json.loads((copy / name).read_text(encoding="utf-8"))
        (copy / name).write_text(json.dumps(old | changes(old)), encoding="utf-8")
    return copy


def once(run: Path, out: Path) -> tuple[float, float, float]:
    """Return wall time [s], CPU time [s] and the page's size [MB] of one report."""
    command = [sys.executable, "-m", "cifar_report.cli", "report", str(run), "--out", str(out)]
    before, start = os.times(), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return wall, cpu, (out / "report.html").stat().st_size / 1e6


if __name__ == "__main__":
    main()
