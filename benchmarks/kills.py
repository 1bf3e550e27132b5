"""Kill a training at random moments, go on with it, and compare what it ends with, byte for byte.

    python benchmarks/kills.py --kills 20

Each time a run of six epochs on the digits gets SIGKILL, with all its worker processes left behind, at a
moment drawn from the whole of the uninterrupted run's duration, and is resumed; every third resumed run is
killed and resumed once more. What follows `--` is given to each training as well. Prints a line per kill and
exits with 1 if any file differs.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROGRAM = [sys.executable, "-m", "cifar_report.cli", "train"]
OPTIONS = ["--data", "digits", "--epochs", "6", "--seed", "0"]
WEIGHTS = "checkpoint.safetensors"


def start(*arguments: str) -> subprocess.Popen[bytes]:
    """Start the program, silently."""
    return subprocess.Popen([*PROGRAM, *arguments, "--progress", "none"], stdout=subprocess.DEVNULL)


def killed_after(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Return whether the process was still there to be killed after so many seconds."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        return True
    return False


def begun_or_resumed(run: Path) -> subprocess.Popen[bytes]:
    """Go on with a run; what was killed before it even claimed its folder is started again."""
    return start("--resume", str(run)) if run.exists() else start(*OPTIONS, "--out", str(run))


def main() -> int:
    """Kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("options", nargs="*", help="of the trainings, after --: such as --compile on")
    arguments = parser.parse_args()
    OPTIONS.extend(arguments.options)
    moments, differ = random.Random(arguments.seed), 0
    with tempfile.TemporaryDirectory() as place:
        whole, run = Path(place) / "whole", Path(place) / "run"
        begin = time.monotonic()
        if start(*OPTIONS, "--out", str(whole)).wait():
            return 1
        duration = time.monotonic() - begin
        expected = (whole / WEIGHTS).read_bytes()
        print(f"uninterrupted: {duration:.0f} s", flush=True)
        for number in range(1, arguments.kills + 1):
            shutil.rmtree(run, ignore_errors=True)
            times = [moments.uniform(0, duration) for _ in range(2 if number % 3 == 0 else 1)]
            process, killed = start(*OPTIONS, "--out", str(run)), []
            for moment in times:
                killed.append(killed_after(process, moment))
                process = begun_or_resumed(run)
            code = process.wait()
            same = code == 0 and (run / WEIGHTS).read_bytes() == expected
            differ += not same
            when = ", ".join(f"{t:.1f} s{'' if k else ' (over)'}" for t, k in zip(times, killed, strict=True))
            print(
                f"{number:>3}: killed after {when}: {'the same bytes' if same else 'DIFFERENT'}", flush=True
            )
    print(f"{arguments.kills - differ} of {arguments.kills} ended with the same bytes")
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
