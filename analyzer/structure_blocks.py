"""How a network shrinks its map, and the blocks C1, C2 ... between the places where it does.

A block is the run of convolutions on maps of one level. The level of a map counts the transitions
before it, along the path with the most: a shortcut or a branch that shrinks beside another is the same
transition. A convolution that shrinks the map belongs to the block that it ends, as in "three
convolutions a block, the last with stride 2"; pools stand between blocks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cifar_report.analyzer import windows
from cifar_report.analyzer.analysis import Finding
from cifar_report.analyzer.dataflow import Dataflow, map_size
from cifar_report.analyzer.graph import Node, Value
from cifar_report.analyzer.structure_convolutions import spelled

RESIZERS = frozenset({
    "pixel_unshuffle", "upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d",
    "_upsample_nearest_exact1d", "_upsample_nearest_exact2d", "_upsample_nearest_exact3d",
    "upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d",
    "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
})  # fmt: skip

_TRANSITION = 0.75
"""A layer that leaves more than this of an axis doesn't end a block: 32 to 28 for lack of padding."""


@dataclass(frozen=True, slots=True)
class Shrinking:
    """How one operator makes its map smaller."""

    kind: str
    """`max_pool`, `avg_pool`, `strided_3x3`, `dilated`, `resized` or `patches`."""
    before: tuple[int, ...]
    after: tuple[int, ...]

    @property
    def is_transition(self) -> bool:
        """Whether it ends a block."""
        return any(new <= _TRANSITION * old for old, new in zip(self.before, self.after, strict=True))

    def finding(self, name: str) -> Finding:
        """Return it as a finding about a layer."""
        detail = f"{spelled(self.before)} to {spelled(self.after)}"
        return Finding(f"downsampling.{self.kind}", True, (name,), detail)


def shrinking(node: Node) -> Shrinking | None:
    """Return how a convolution, a pool or one of `RESIZERS` makes its map smaller; None when it doesn't.

    A kernel without padding and without dilation trims the border, which is not counted.
    """
    value = node.args[0] if node.args else None
    if not isinstance(value, Value) or not value.live or not node.outputs:
        return None
    before, after = map_size(value), map_size(node.outputs[0])
    if before == after or len(before) != len(after):
        return None
    if not any(new < old for old, new in zip(before, after, strict=True)):
        return None
    kind = _kind(node)
    return Shrinking(kind, before, after) if kind else None


def _kind(node: Node) -> str:
    if node.op in windows.CONVOLUTIONS:
        settings = windows.convolution(node)
        if max(settings.stride) > 1:
            return f"strided_{spelled(settings.kernel)}"
        wide = any(k > 1 and d > 1 for k, d in zip(settings.kernel, settings.dilation, strict=True))
        return "dilated" if wide else ""
    if "max_pool" in node.op or "avg_pool" in node.op:
        return "max_pool" if "max" in node.op else "avg_pool"
    return "patches" if node.op == "pixel_unshuffle" else "resized"


def find_blocks(flow: Dataflow, shrinkings: Mapping[int, Shrinking]) -> Iterator[Finding]:
    """Yield the blocks of a network, in order; one without a convolution is none.

    Args:
        flow: the trace.
        shrinkings: what shrinks the map, by node index.
    """
    nodes = flow.trace.nodes
    # By producer: nodes count from the front, the network's inputs from the end.
    levels = [0] * (len(nodes) + len(flow.trace.inputs))
    blocks: dict[int, list[Node]] = {}
    for node in nodes:
        level = 0
        for operand in node.live_inputs:
            if levels[operand.producer] > level:
                level = levels[operand.producer]
        if node.op in windows.CONVOLUTIONS:
            value: Value = node.args[0]
            if value.live and max(map_size(value), default=1) > 1:
                blocks.setdefault(level, []).append(node)
        how = shrinkings.get(node.index)
        if how is not None and how.is_transition and max(how.after) > 1:
            level += 1
        levels[node.index] = level
    for number, level in enumerate(sorted(blocks), start=1):
        members = blocks[level]
        size = spelled(map_size(members[0].args[0]))
        count = f"{len(members)} convolution{'s' if len(members) > 1 else ''}"
        names = tuple(dict.fromkeys(flow.name(node) for node in members))
        yield Finding("block", True, names, f"C{number}: {count} from {size}")
