"""Time and correctness of our analysis and of five other tools on every network of torchvision.

    pip install torchinfo torchscan fvcore ptflops thop
    python benchmarks/analyzers.py                                  # all 80; resumes where it stopped
    python benchmarks/analyzers.py --models resnet18,vit_b_16 --repeats 3
    python benchmarks/analyzers.py --again --threads 2

Each network gets a process of its own. In it every tool runs once unmeasured, then `--repeats` times in
an order that turns from round to round, each time on a fresh copy of the modules (the weights are
shared). Time is CPU time of the process, the median of the repeats. Ours includes every receptive field,
theirs none. What was measured lies in analyzers.json, from which RESULTS.md is written.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

from results import machine, table, today, write_section

STORE = Path(__file__).with_name("analyzers.json")
OTHERS = ("torchinfo", "torchscan", "fvcore", "ptflops", "thop")
"""As in `counters`, which the parent process doesn't import: it needs no torch."""
OURS, FORWARD = "cifar-report", "forward pass"

Record = dict[str, Any]


def main() -> None:
    """Measure what isn't measured yet, one network after the other, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", help="names, with commas; all classification networks by default")
    parser.add_argument("--repeats", type=int, default=5, help="timed runs of each tool")
    parser.add_argument("--threads", type=int, default=1, help="torch's threads")
    parser.add_argument("--again", action="store_true", help="measure again what is measured")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(measure(options.child, options.repeats, options.threads)))
        return
    store: dict[str, Record] = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    names = options.models.split(",") if options.models else all_names()
    for number, name in enumerate(names, 1):
        done = store.get(name)
        enough = done and done["repeats"] >= options.repeats and done["threads"] == options.threads
        if enough and not options.again:
            continue
        print(f"{number}/{len(names)} {name}", file=sys.stderr, flush=True)
        store[name] = in_a_process(name, options.repeats, options.threads)
        beside = STORE.with_suffix(".tmp")
        beside.write_text(_dumped(store), encoding="utf-8")
        beside.replace(STORE)
        write_section("analyzers", report(store))
    write_section("analyzers", report(store))


def all_names() -> list[str]:
    """Return the names of torchvision's classification networks."""
    code = "import networks; print(*networks.NAMES)"
    run = [sys.executable, "-c", code]
    return subprocess.check_output(run, text=True, cwd=Path(__file__).parent).split()


def in_a_process(name: str, repeats: int, threads: int) -> Record:
    """Measure one network in a child process, so that its memory is freed."""
    command = [
        sys.executable,
        __file__,
        "--child",
        name,
        "--repeats",
        str(repeats),
        "--threads",
        str(threads),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=environment, check=True)
    record: Record = json.loads(done.stdout.splitlines()[-1])
    return record


def measure(name: str, repeats: int, threads: int) -> Record:
    """Return one network's figures and times from every tool."""
    import torch
    from counters import ALL, ask, truth, twin, versions
    from networks import build, image_shape

    torch.set_num_threads(threads)
    network = build(name)
    x = torch.rand(1, *image_shape(name), generator=torch.Generator().manual_seed(0))
    true = truth(network, x)
    tools: dict[str, Record] = {}
    for tool, counter in ALL.items():
        count, failure = ask(counter, twin(network), x)
        tools[tool] = {
            "params": count.params, "macs": count.macs, "by_operators": count.by_operators,
            "failure": failure, "seconds": [],
        }  # fmt: skip
    able = [tool for tool in ALL if tools[tool]["failure"] is None]
    for repeat in range(repeats):
        turn = repeat % len(able)
        order = able[turn:] + able[:turn]
        for tool in order if repeat % 2 == 0 else reversed(order):
            copy = twin(network)
            gc.collect()
            start = time.process_time()
            ask(ALL[tool], copy, x)
            tools[tool]["seconds"].append(round(time.process_time() - start, 6))
    return {
        "date": today(), "machine": machine(), "versions": versions(), "repeats": repeats,
        "threads": threads, "params": true.params, "macs": true.macs, "tools": tools,
    }  # fmt: skip


def report(store: dict[str, Record]) -> str:
    """Return the section of RESULTS.md."""
    records = dict(sorted(store.items()))
    dates = sorted({record["date"] for record in records.values()})
    about = sorted(
        {f"{r['machine']}, {r['threads']} thread(s) for torch; {r['versions']}" for r in records.values()}
    )
    slowest = {name: _ratio(record, FORWARD) for name, record in records.items()}
    fastest = {name: _ratio(record, *OTHERS) for name, record in records.items()}
    right = sum(_right(record, OURS) for record in records.values())
    parts = [
        "## Every classification network of torchvision",
        f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))}. {' / '.join(about)}. CPU time in ms, median "
        f"of {_span([r['repeats'] for r in records.values()])} runs in turning order; batch of one, "
        "3x224x224 (Inception 3x299x299). Ours computes every receptive field, the others none. `x` says how "
        "many times ours is faster than the fastest of them, and than the network's own forward pass.",
        f"- Networks measured: {len(records)}; parameters and MACs of ours right on {right} of them.",
        f"- Against the fastest other tool: {_least(fastest)}; median {median(fastest.values()):.1f}x.",
        f"- Against the forward pass: {_least(slowest)}; median {median(slowest.values()):.1f}x.",
        *[_wrong(records, tool) for tool in OTHERS],
        table(
            ("Network", "Params", "MACs", "ours right", "ours", *OTHERS, "x", FORWARD, "x"),
            [_time_row(name, record) for name, record in records.items()],
        ),
        "### What they count",
        "MACs relative to half of torch's own counter (attention's fused path off), `=` where equal to the "
        "last digit; `P` where parameters differ from `sum(p.numel())`. torchscan has two counts: of "
        "modules, and of operators.",
        table(
            ("Network", "ours", *OTHERS, "torchscan, operators"),
            [_count_row(name, record) for name, record in records.items()],
        ),
    ]
    text = "\n\n".join(parts)
    return text.replace(".\n\n- ", ".\n- ").replace("x.\n\n- ", "x.\n- ")


def _time_row(name: str, record: Record) -> list[str]:
    times = [_milliseconds(record, tool) for tool in (OURS, *OTHERS)]
    right = "yes" if _right(record, OURS) else "NO"
    own = _milliseconds(record, FORWARD)
    return [name, f"{record['params']:,.0f}", f"{record['macs']:,.0f}", right, *times,
            f"{_ratio(record, *OTHERS):.1f}", own, f"{_ratio(record, FORWARD):.1f}"]  # fmt: skip


def _count_row(name: str, record: Record) -> list[str]:
    cells = [name]
    for tool in (OURS, *OTHERS):
        found = record["tools"][tool]
        mark = "" if found["params"] == record["params"] else " P"
        cells.append("failed" if found["failure"] else _relative(found["macs"], record["macs"]) + mark)
    cells.append(_relative(record["tools"]["torchscan"]["by_operators"], record["macs"]))
    return cells


def _relative(macs: float | None, truth: float) -> str:
    if macs is None:
        return "none"
    return "=" if macs == truth else f"{100 * (macs / truth - 1):+.2f} %"


def _right(record: Record, tool: str) -> bool:
    found = record["tools"][tool]
    return bool(found["params"] == record["params"] and found["macs"] == record["macs"])


def _wrong(records: dict[str, Record], tool: str) -> str:
    """Return a line that says on how many networks a tool's figures are right."""
    found = [(record["tools"][tool], record) for record in records.values()]
    failed = sum(one["failure"] is not None for one, _ in found)
    params = sum(one["params"] == record["params"] for one, record in found)
    macs = sum(one["macs"] == record["macs"] for one, record in found)
    near = sum(one["macs"] is not None and abs(one["macs"] / r["macs"] - 1) < 0.01 for one, r in found)
    operators = sum(one["by_operators"] == record["macs"] for one, record in found)
    second = f", its second count, of operators, on {operators}" if tool == "torchscan" else ""
    return (
        f"- {tool}: parameters right on {params}, MACs on {macs} (within 1 % on {near}){second}; failed on "
        f"{failed}."
    )


def _seconds(record: Record, tool: str) -> float | None:
    times = record["tools"][tool]["seconds"]
    return median(times) if times else None


def _milliseconds(record: Record, tool: str) -> str:
    seconds = _seconds(record, tool)
    return "failed" if seconds is None else f"{1000 * seconds:,.1f}"


def _ratio(record: Record, *tools: str) -> float:
    """Return the fastest of some tools over ours."""
    ours = _seconds(record, OURS)
    times = [seconds for tool in tools if (seconds := _seconds(record, tool)) is not None]
    return min(times) / ours if ours and times else 0.0


def _least(ratios: dict[str, float]) -> str:
    name = min(ratios, key=lambda key: ratios[key])
    return f"least {ratios[name]:.1f}x, on {name}"


def _span(numbers: list[int]) -> str:
    return str(min(numbers)) if len(set(numbers)) == 1 else f"{min(numbers)} to {max(numbers)}"


def _dumped(store: dict[str, Record]) -> str:
    """Return JSON with a line per network."""
    lines = [f"{json.dumps(name)}: {json.dumps(record)}" for name, record in sorted(store.items())]
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    main()
