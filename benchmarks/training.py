"""Training our way beside the way that tutorials write down; memory; MNIST; a GPU where there is one.

    python benchmarks/training.py --data FOLDER --mnist FOLDER      # CIFAR-10's and MNIST's files
    python benchmarks/training.py                                   # images of noise: speed, no accuracy
    python benchmarks/training.py --threads 1 --workers 1 --again

Both ways train in one process in turning order, each once unmeasured, on the same network, augmentation,
images and threads. Keeps what it has measured in training.json and goes on where it stopped; `--again`
starts over.
"""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from results import machine, table, today, write_section

STORE = Path(__file__).with_name("training.json")
NETWORKS = ("document_003", "small")
PEAK = "import resource; print(resource.getrusage(resource.RUSAGE_{}).ru_maxrss)"
"""Peak resident memory so far [KiB on Linux]."""

Record = dict[str, Any]


def main() -> None:
    """Measure what isn't measured yet and write the section."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", help="CIFAR-10's batches or a folder of images; noise if not given")
    parser.add_argument("--mnist", help="MNIST's four files; noise if not given")
    parser.add_argument("--images", type=int, default=6_400, help="of an epoch, side by side")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="torch's threads")
    parser.add_argument("--workers", type=int, default=2, help="of the documents' DataLoader")
    parser.add_argument("--again", action="store_true", help="measure again what is measured")
    options = parser.parse_args()
    found = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() and not options.again else {}
    with tempfile.TemporaryDirectory() as place:
        data = absolute(options.data) or noise_batches(Path(place) / "noise")
        mnist = absolute(options.mnist) or noise_idx(Path(place) / "noise-28x28")
        threads, workers = options.threads, options.workers
        sides = f"{options.images}, {options.repeats}, {threads}, {workers}"
        calls = {name: f"side_by_side({name!r}, {data!r}, {sides})" for name in NETWORKS}
        calls["MNIST"] = f"whole_epochs('small', {mnist!r}, 2, 'cpu', {threads})"
        calls["GPU"] = f"on_gpu('residual', {data!r}, 60)"
        for name, call in calls.items():
            given = options.mnist if name == "MNIST" else options.data
            images = "its images" if given else "noise"
            key = f"{name}, {images}, {sides if name in NETWORKS else threads}"
            if key not in found:
                print(key, file=sys.stderr, flush=True)
                how = {"name": name, "images": images, "threads": threads, "workers": workers}
                found[key] = {**how, "value": asked(call)}
                keep(found)
        if "memory" not in found:
            print("memory", file=sys.stderr, flush=True)
            found["memory"] = {"name": "memory", "value": memory(data, place)}
            keep(found)
    write_section("training", report(found))


def absolute(folder: str | None) -> str:
    """Return a folder's whole path: the measuring processes run elsewhere."""
    return str(Path(folder).absolute()) if folder else ""


def keep(found: Record) -> None:
    """Write what was measured so far."""
    beside = STORE.with_suffix(".tmp")
    beside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    beside.replace(STORE)


def asked(call: str) -> Any:
    """Return what a function of `training_ways` returns in a process of its own."""
    code = f"import json, training_ways as ways; print(json.dumps(ways.{call}))"
    return json.loads(_python(code).splitlines()[-1])


def memory(data: str, place: str) -> Record:
    """Return the peaks of importing torch and torchvision, and of a training of one epoch [MiB]."""
    command = ["-m", "cifar_report.cli", "train", "document_003", "--data", data]
    train = [sys.executable, *command, "--epochs", "1", "--progress", "none", "--out", f"{place}/run"]
    code = f"import subprocess; subprocess.run({train!r}, check=True, stdout=2); {PEAK.format('CHILDREN')}"
    base = int(_python(f"import torch, torchvision; {PEAK.format('SELF')}")) / 1024
    return {"base": base, "peak": int(_python(code).splitlines()[-1]) / 1024}


def _python(code: str) -> str:
    command = [sys.executable, "-W", "ignore", "-c", code]
    return subprocess.check_output(command, text=True, cwd=Path(__file__).parent)


def noise_batches(folder: Path) -> str:
    """Write CIFAR-10's batch folder with noise in it."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    meta = {"label_names": [f"class {number}" for number in range(10)], "num_cases_per_batch": 10_000}
    (folder / "batches.meta").write_bytes(pickle.dumps(meta))
    for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"):
        pixels = draw.integers(0, 256, (10_000, 3072), dtype=np.uint8)
        batch = {"data": pixels, "labels": [index % 10 for index in range(10_000)]}
        (folder / name).write_bytes(pickle.dumps(batch))
    return str(folder)


def noise_idx(folder: Path) -> str:
    """Write MNIST's four files with noise in them."""
    folder.mkdir()
    draw = np.random.default_rng(1)
    for stem, count in (("train", 60_000), ("t10k", 10_000)):
        for what, sizes in (("images-idx3", (count, 28, 28)), ("labels-idx1", (count,))):
            top = 256 if len(sizes) == 3 else 10
            magic = 2051 if len(sizes) == 3 else 2049
            head = np.array([magic, *sizes], dtype=">i4").tobytes()
            content = draw.integers(0, top, sizes, dtype=np.uint8).tobytes()
            (folder / f"{stem}-{what}-ubyte").write_bytes(head + content)
    return str(folder)


def report(found: Record) -> str:
    """Return the section of RESULTS.md."""
    rows = [_row(record) for record in found.values() if record["name"] in NETWORKS]
    header = ("Network", "Images", "Threads", "Workers", "ours, images/s", "waiting",
              "documents', images/s", "waiting", "x, median (range)")  # fmt: skip
    lines = [_mnist(record) for record in found.values() if record["name"] == "MNIST"]
    lines += sorted({_gpu(record["value"]) for record in found.values() if record["name"] == "GPU"})
    room = found["memory"]["value"]
    lines.append(
        f"- Memory: a training of document_003 on 60,000 images peaks at {room['peak']:,.0f} MiB, "
        f"{room['peak'] - room['base']:,.0f} MiB above `import torch, torchvision` ({room['base']:,.0f})."
    )
    return "\n\n".join([
        f"## Training\n\n{today()}. {machine()}. Ours as `cifar-report train` does without options; the "
        "documents' way: a DataLoader, albumentations per image with float output, float32, contiguous. "
        "Both with the same augmentation, batches of 128, in turning order; waiting is the share of the "
        "time until a batch is there, ours with the augmentation itself in it.",
        table(header, rows), "\n".join(lines),
    ])  # fmt: skip


def _row(record: Record) -> list[str]:
    value = record["value"]
    ratios = [mine / theirs for mine, theirs in zip(value["ours"], value["theirs"], strict=True)]
    cells = [f"{record['name']} ({value['how']})", f"{value['images']:,} {_what(record)}"]
    cells += [str(record["threads"]), str(record["workers"])]
    for way in ("ours", "theirs"):
        waited = 100 * median(value[f"{way}_waited"])
        cells += [f"{median(value[way]):,.0f}", f"{waited:.1f} %"]
    return [*cells, f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"]


def _what(record: Record) -> str:
    return f"of {record['value']['data']}" if record["images"] != "noise" else "images of noise"


def _mnist(record: Record) -> str:
    value = record["value"]
    return (
        f"- {value['images']:,} {_what(record)}, 28x28 as MNIST's, {value['parameters']:,} parameters, "
        f"{record['threads']} thread(s): an epoch trains in {min(value['trained']):.1f} s, "
        f"{100 * median(value['waited']):.0f} % of it waiting; evaluation {min(value['judged']):.1f} s."
    )


def _gpu(value: Record | None) -> str:
    if value is None:
        return "- On a GPU: not measured."
    return (
        f"- On a GPU ({value['device']}): an epoch of {value['images']:,} images trains in "
        f"{median(value['trained']):.2f} s, {100 * median(value['waited']):.1f} % waiting; "
        f"{len(value['trained'])} epochs with evaluation {value['seconds']:.0f} s."
    )


if __name__ == "__main__":
    main()
