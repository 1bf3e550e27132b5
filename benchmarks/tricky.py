"""Our figures and those of five other tools on networks that are small and awkward.

    pip install torchinfo torchscan fvcore ptflops thop
    python benchmarks/tricky.py

Truth: `sum(p.numel())`, half of `torch.utils.flop_counter`'s count, and for the receptive field which
pixels turn the units in the middle of the output to NaN (or reach them by gradient).
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from counters import ALL, OTHERS, OURS, Count, ask, silence, truth, versions
from results import table, today, write_section
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from tricky_networks import CASES, Case

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.analyzer import oracles

NEAR = 0.01
"""How far MACs may be off and still be right: others add biases."""
AROUND = 1
"""Units left and right of the middle that are looked at: a network may treat neighbours differently."""


def main() -> None:
    """Ask everybody about every network and write the section of RESULTS.md."""
    rows = []
    right: dict[str, tuple[int, ...]] = dict.fromkeys(ALL, (0, 0, 0))
    for case in CASES:
        true = known(case)
        cells = [case.name, f"{true.params:,}", f"{true.macs:,.0f}", spelled(true.field)]
        for tool in (OURS, *OTHERS):
            count, failure = ask(ALL[tool], made(case).train(case.training), image(case))
            good = judged(count, true)
            right[tool] = tuple(before + now for before, now in zip(right[tool], good, strict=True))
            cells.append(failure.split(":")[0] if failure else mistakes(count, true, good, tool))
        rows.append(cells)
        print(cells, file=sys.stderr)
    scores = [
        [tool, *(f"{one} of {len(CASES)}" for one in right[tool][:2]), _field_score(tool, right[tool][2])]
        for tool in (OURS, *OTHERS)
    ]
    text = [
        f"## Tricky networks\n\n{today()}; {versions()}. A cell says what is wrong; MACs within "
        f"{100 * NEAR:.0f} % are right. The field is that of the output, height x width [px].",
        table(("Tool", "Parameters right", "MACs right", "Field right"), scores),
        table(("Network", "Params", "MACs", "Field", "ours", *OTHERS), rows),
    ]
    write_section("tricky", "\n\n".join(text))


def image(case: Case) -> Tensor:
    """Return a batch of one."""
    return torch.rand(1, *case.shape, generator=torch.Generator().manual_seed(0)).to(case.dtype)


def made(case: Case) -> nn.Module:
    """Return the network, new."""
    torch.manual_seed(0)
    with silence():
        return case.build()


def known(case: Case) -> Count:
    """Find the truth on a network of its own; lazy modules get their shapes from a first run.

    Fields are looked for in float32: kernels for shorter numbers read past their window, times zero.
    """
    network = made(case).eval()
    with silence(), torch.no_grad():
        network(image(case))
        counted = truth(network, image(case))
        axes = range(len(case.shape) - 1)
        field = tuple(extent(case, network.float(), axis) for axis in axes)
    return Count(counted.params, counted.macs, field)


def extent(case: Case, network: nn.Module, axis: int) -> int:
    """Return the largest field among the units around the middle of the output."""
    if case.oracle == "gradient":
        return by_gradient(case, network, axis)
    first, last = oracles.bounds_of(oracles.nan_rows(network, case.shape, axis, pick=map_of))
    sizes: Any = np.maximum(last - first + 1, 0)
    for dim in range(1, sizes.ndim):
        middle = sizes.shape[dim] // 2
        sizes = sizes.take(range(max(middle - AROUND, 0), min(middle + AROUND, sizes.shape[dim])), axis=dim)
    return int(sizes.max())


def by_gradient(case: Case, network: nn.Module, axis: int) -> int:
    """Return the extent of the middle unit's footprint."""
    x = torch.ones(1, *case.shape, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        _, (output, *_) = oracles.linear_outputs(network.double(), x)
        middle = oracles.middle(output, range(2, output.ndim))
        low, high = oracles.extent(oracles.footprint(middle, x)[axis])
    return high - low + 1


def map_of(output: Any) -> Tensor:
    """Return the first tensor of an output."""
    return next(leaf for leaf in tree_leaves(output) if isinstance(leaf, Tensor))


def judged(count: Count, true: Count) -> tuple[bool, bool, bool]:
    """Return whether parameters, MACs and field are right."""
    assert true.macs is not None
    near = count.macs is not None and abs(count.macs - true.macs) <= NEAR * true.macs
    return count.params == true.params, near, count.field == true.field


def mistakes(count: Count, true: Count, good: tuple[bool, bool, bool], tool: str) -> str:
    """Return what is wrong, in words."""
    assert true.macs
    found = []
    if not good[0]:
        found.append("no params" if count.params is None else f"params {count.params:,.0f}")
    if not good[1]:
        found.append("no MACs" if count.macs is None else f"MACs {100 * (count.macs / true.macs - 1):+.0f} %")
    if not good[2] and tool in (OURS, "torchscan"):
        found.append(f"field {spelled(count.field)}")
    return ", ".join(found) or "right"


def spelled(field: tuple[int, ...] | None) -> str:
    """Return `5x3`, or `none`."""
    return "none" if field is None else "x".join(map(str, field))


def _field_score(tool: str, right: int) -> str:
    return f"{right} of {len(CASES)}" if tool in (OURS, "torchscan") else "it has none"


if __name__ == "__main__":
    main()
