"""Segmentation, video, quantized, detection and optical-flow networks of torchvision: figures and time.

    python benchmarks/zoo_beyond.py                          # all, about a quarter of an hour
    python benchmarks/zoo_beyond.py --models raft_small      # these only, printed and not written

Truth for parameters is `sum(p.numel())`, for MACs half of torch's own counter, attention's fused paths off.
Torch's counter doesn't know quantized operators: a quantized network's MACs are compared with those of the
network that it stands for. A detector's input is an image with values, and how many boxes are left after
each of its stages depends on them; ours and torch's counter get the same image.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from dataclasses import dataclass
from typing import Any

import torch
import torchvision
from counters import silence, truth, versions
from networks import build
from results import machine, table, today, write_section
from torch import Tensor, nn

from cifar_report.analyzer import analyze

GROUPS = ("segmentation", "video", "quantization", "detection", "optical_flow")
QUANTIZED = " (quantize=True)"
"""Behind the name of one that is built so."""


@dataclass(frozen=True)
class Result:
    """What is known of one network."""

    name: str
    shape: tuple[int, ...]
    rung: str
    params: bool
    macs: str
    unknown: tuple[str, ...]
    field: str
    seconds: float

    def cells(self) -> list[str]:
        """Return a row of the table."""
        size = "x".join(map(str, self.shape))
        right = "=" if self.params else "NO"
        unknown = ", ".join(self.unknown) or "none"
        return [self.name, size, self.rung, right, self.macs, unknown, self.field, f"{self.seconds:,.2f}"]


def main() -> None:
    """Measure, and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", help="names, with commas; all of the five groups by default")
    chosen = parser.parse_args().models
    torch.set_num_threads(1)
    groups = {group: names(group) for group in GROUPS}
    if chosen:
        groups = {group: [n for n in own if n in chosen.split(",")] for group, own in groups.items()}
    results: dict[str, list[Result]] = {}
    for group, own in groups.items():
        for name in own:
            result = measured(name, group)
            results.setdefault(group, []).append(result)
            print(*result.cells(), sep=" | ", file=sys.stderr, flush=True)
    if not chosen:
        write_section("beyond classification", report(results))


def names(group: str) -> list[str]:
    """Return the names of a group's networks; quantizable ones come in both forms."""
    own: list[str] = torchvision.models.list_models(module=getattr(torchvision.models, group))
    return own + [name + QUANTIZED for name in own] if group == "quantization" else own


def shape_of(name: str, group: str) -> tuple[int, ...]:
    """Return an input that a network was made for, or a smaller one where it takes minutes."""
    if group == "video":
        long = name.startswith(("mvit", "swin", "s3d"))
        return (3, 16, 224, 224) if long else (3, 16, 112, 112)
    if group == "optical_flow":
        return (3, 128, 160)
    return (3, 299, 299) if "inception" in name else (3, 224, 224)


def built(name: str) -> nn.Module:
    """Return a network."""
    if name.endswith(QUANTIZED):
        with silence():
            quantized: nn.Module = torchvision.models.get_model(name.removesuffix(QUANTIZED), quantize=True)
        return quantized.eval()
    network = build(name)
    for module in network.modules():
        if hasattr(module, "score_thresh"):
            module.score_thresh = -1.0
    return network


def measured(name: str, group: str) -> Result:
    """Analyse one network and count it by torch's means."""
    shape = shape_of(name, group)
    network = built(name)
    inputs: list[Any] = [shape] * (2 if group == "optical_flow" else 1)
    with silence():
        analysis = analyze(network, inputs=inputs)
        gc.collect()
        start = time.process_time()
        analyze(network, inputs=inputs)
        seconds = time.process_time() - start
    totals, field = analysis.totals, analysis.totals.receptive_field.output
    params = totals.params == sum(p.numel() for p in network.parameters())
    said = "unknown: " + str(field.cause) if field.size is None else "x".join(map(str, field.size))
    said += f", global by {field.cause}" if field.kind == "global" else ""
    macs = compared(totals.macs, name, network, shape, len(inputs))
    return Result(name, shape, analysis.rung, params, macs, totals.unknown_ops, said, seconds)


def compared(macs: int | None, name: str, network: nn.Module, shape: tuple[int, ...], inputs: int) -> str:
    """Return our MACs relative to the truth."""
    if macs is None:
        return "unknown"
    if name.endswith(QUANTIZED):
        network = built(name.removesuffix(QUANTIZED))
    try:
        with silence():
            expected = truth(network, *example(shape, inputs)).macs
    except Exception as error:
        return f"{macs:,} (torch's counter: {type(error).__name__})"
    assert expected is not None
    return f"{macs:,} =" if macs == expected else f"{macs:,} ({100 * (macs / expected - 1):+.2f} %)"


def example(shape: tuple[int, ...], inputs: int) -> list[Tensor]:
    """Return what a network is called with, the same that the analysis makes where it needs values."""
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, *shape, generator=generator) for _ in range(inputs)]


def report(results: dict[str, list[Result]]) -> str:
    """Return the section of RESULTS.md."""
    every = [result for group in results.values() for result in group]
    equal = sum(result.macs.endswith("=") for result in every)
    parts = [
        "## Beyond classification",
        f"{today()}. {machine()}, 1 thread; {versions()}. MACs: `=` where equal to half of torch's own "
        "counter (of the unquantized network, for a quantized one, whose packed weights are no parameters). "
        "Parameters: `=` where equal to `sum(p.numel())`. Seconds of CPU time for one analysis with all "
        "receptive fields; on the rung `real` the network itself runs, which is most of it. Detectors keep "
        "boxes of any score, for made-up weights give none a high one.",
        f"- Networks: {len(every)}; parameters right on {sum(result.params for result in every)}, MACs equal "
        f"on {equal}; with unknown operators: {sum(bool(result.unknown) for result in every)}.",
    ]
    header = ("Network", "input", "rung", "params", "MACs", "unknown operators", "receptive field", "s")
    for group, own in results.items():
        parts += [f"### {group.replace('_', ' ').capitalize()}", table(header, [r.cells() for r in own], 7)]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
