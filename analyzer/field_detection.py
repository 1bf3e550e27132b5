"""How shadows follow what detectors do with boxes: cutting maps out at them, sorting out overlapping ones."""

from __future__ import annotations

from cifar_report.analyzer.field_mixing import anywhere_on_the_map
from cifar_report.analyzer.graph import Node
from cifar_report.analyzer.receptive_field import Lookup, NoRule, Shadows, field_rule
from cifar_report.analyzer.shadow_union import hull, union


@field_rule("torchvision::roi_align", "torchvision::roi_pool", "torchvision::ps_roi_align",
            "torchvision::ps_roi_pool")  # fmt: skip
def _regions(node: Node, shadows: Lookup) -> Shadows:
    """(N, C, H, W) and (K, 5) boxes to (K, C, h, w): boxes that the image decides on may lie anywhere."""
    if not node.args[1].live:
        raise NoRule  # boxes that are known would be worth reading
    return anywhere_on_the_map(node, shadows)


@field_rule("torchvision::nms")
def _suppression(node: Node, shadows: Lookup) -> Shadows:
    """(K, 4) boxes and (K,) scores to which of them are kept: each has been compared with all others."""
    operands = [v for v in node.args[:2] if v.live]
    return tuple([
        union(
            [(hull(s, v.shape, range(len(v.shape))), ()) for s, v in zip(axis, operands, strict=True)],
            (), node.index,
        )
        for axis in zip(*[shadows(v) for v in operands], strict=True)
    ])  # fmt: skip
