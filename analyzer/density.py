"""Density: which share of a receptive field really reaches a unit.

The field of a unit is a box; stacked dilations, and strides larger than the kernel, leave holes in it
(the gridding effect: Wang et al., "Understanding Convolution for Semantic Segmentation", WACV 2018,
doi 10.1109/WACV.2018.00163). Density is the share of the box's positions from which a path leads to the
unit: the input pixels whose gradient isn't zero when no weight is.

One unit, in the middle of its map and with all channels of it, is followed back through the graph as a
set of units. Like the field's size, the share is theoretical: the network is taken to go on beyond the
image, as far as its operators can (tokens, rolls and pixel shuffles end at the border). `visible` is
the share of the box's part on the image, without that assumption.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from cifar_report.analyzer.coverage import Density
from cifar_report.analyzer.density_fields import by_field_rule
from cifar_report.analyzer.density_moves import COPYING_PADS, copied_by_pad
from cifar_report.analyzer.density_region import Marks, Region, any_along, clipped, inside, trimmed, united
from cifar_report.analyzer.density_rules import PULL_RULES, Wanted, unit_by_unit
from cifar_report.analyzer.graph import Node, Trace, Value
from cifar_report.analyzer.receptive_field import Fields, NoRule, input_axes, sees_nothing
from cifar_report.analyzer.shadow import Array, Shadow, expand, full


class Densities:
    """Densities of one trace's values, each computed when it is asked for.

    Args:
        trace: of the network.
        fields: its receptive fields.
        operator_name: names a node's operator, for what is unknown.
    """

    def __init__(self, trace: Trace, fields: Fields, operator_name: Callable[[int], str]) -> None:
        self.trace = trace
        self.fields = fields
        self.operator_name = operator_name
        self.known: dict[int, Density] = {}

    def of(self, value: Value) -> Density:
        """Return the density of the field of a value's middle unit."""
        value = self.source(value)
        if value.id not in self.known:
            self.known[value.id] = self._measure(value)
        return self.known[value.id]

    def source(self, value: Value) -> Value:
        """Return the value that looks at the same pixels, in front of activations and normalisations."""
        while value.producer >= 0:
            node = self.trace.nodes[value.producer]
            before, *others = node.live_inputs
            same = node.op == "batch_norm" or PULL_RULES.get(node.op) is unit_by_unit
            if not same or others or self.fields.of(before) is not self.fields.of(value):
                break
            value = before
        return value

    def _measure(self, value: Value) -> Density:
        shadows = self.fields.of(value)
        if shadows is None:
            cause = self.fields.unknown.get(value.id)
            if cause is None:
                return Density(None, cause="it doesn't depend on the network's input")
            return Density(None, cause=self.operator_name(cause))
        if not shadows:
            return Density(None, cause="the input has no spatial axes")
        if sees_nothing(shadows):
            return Density(None, cause="it doesn't depend on the image")
        unit = middle_unit(value, shadows, self.fields.axes)
        try:
            field, virtual = self._reached(value, unit, beyond=True)
            visible = self._reached(value, unit, beyond=False)[0] if virtual else field
        except _Unknown as error:
            return Density(None, cause=self.operator_name(error.node))
        if field is None:
            return Density(None, cause="no path leads from the image to it")
        axes = range(self.fields.axes)
        lines = [any_along(field.marks, [other for other in axes if other != axis]) for axis in axes]
        return Density(
            share=float(field.marks.mean()),
            per_axis=tuple([float(line.mean()) for line in lines]),
            size=field.marks.shape,
            visible=None if visible is None else float(visible.marks.mean()),
        )

    def visible(self, value: Value, unit: Region) -> Marks:
        """Return which pixels of the image some units of a value depend on, as marks of its size.

        Raises:
            ValueError: an operator on the way has no rule that tells; names it.
        """
        marks = np.zeros(self.fields.image, dtype=bool)
        try:
            field = self._reached(value, unit, beyond=False)[0]
        except _Unknown as error:
            raise ValueError(f"no rule tells what {self.operator_name(error.node)} takes") from None
        if field is not None:
            firsts = [first or 0 for first in field.origin]
            place = [slice(first, first + n) for first, n in zip(firsts, field.marks.shape, strict=True)]
            marks[tuple(place)] = field.marks
        return marks

    def _reached(self, value: Value, unit: Region, *, beyond: bool) -> tuple[Region | None, bool]:
        """Return the pixels, per spatial axis, that some units depend on; and whether any was virtual.

        Args:
            value: whose units.
            unit: the units.
            beyond: the network goes on beyond the borders of its maps.
        """
        image = self.trace.inputs[self.trace.image]
        regions = {value.id: unit}
        virtual = False
        for node in reversed(self.trace.nodes[: value.producer + 1]):
            for out in node.outputs:
                region = regions.pop(out.id, None)
                if region is None or out.id == image.id:
                    continue
                for before, wanted in self._pulled(node, out, region, beyond):
                    if wanted is None or self._sees_nothing(before):
                        continue
                    if not inside(wanted, before.shape):
                        virtual = True
                        wanted = wanted if beyond else clipped(wanted, before.shape)
                    if wanted is not None:
                        other = regions.get(before.id)
                        regions[before.id] = united(other, wanted, before.shape) if other else wanted
        region = regions.get(image.id)
        if region is None:
            return None, virtual
        places = input_axes(image)
        region = region.single(places, image.shape)
        others = [dim for dim in range(len(image.shape)) if dim not in places]
        return trimmed(Region(any_along(region.marks, others), region.origin[-len(places) :])), virtual

    def _pulled(self, node: Node, out: Value, region: Region, beyond: bool) -> Wanted:
        rule = PULL_RULES.get(node.op)
        if node.op in COPYING_PADS and not beyond:
            rule = copied_by_pad
        try:
            if rule is not None:
                return rule(node, out, region)
            return by_field_rule(node, out, region, self.trace.nodes)
        except NoRule:
            raise _Unknown(node.index) from None

    def _sees_nothing(self, value: Value) -> bool:
        shadows = self.fields.of(value)
        return shadows is not None and sees_nothing(shadows)


class _Unknown(Exception):
    """An operator on the way has no rule that tells which units it takes."""

    def __init__(self, node: int) -> None:
        super().__init__(node)
        self.node = node


def middle_unit(value: Value, shadows: tuple[Shadow, ...], axes: int) -> Region:
    """Return the unit in the middle of a map: of those in one period around it, the one that sees most.

    Along a dimension in which all units see the same place, such as channels, they count together.
    """
    rank = len(value.shape)
    origin: list[int | None] = [None] * rank
    for shadow in shadows:
        for dim in _places(shadow, value.shape, axes):
            middle = value.shape[dim] // 2
            if shadow.dim == dim and shadow.period > 1:
                middle += int(np.roll(_sizes(shadow, rank, dim), -(middle % shadow.period)).argmax())
            origin[dim] = min(middle, value.shape[dim] - 1)
    return Region(np.ones((1,) * rank, dtype=bool), tuple(origin))


def _places(shadow: Shadow, shape: tuple[int, ...], axes: int) -> list[int]:
    """Return the dimensions along which units see different places."""
    if shadow.dim is not None:
        return [shadow.dim]
    bounds = [b for part in (shadow, *shadow.others) for b in expand(part, shape)]
    # A map's channels, one behind the batch, may see differently, but in the same place.
    return [
        dim for dim in range(len(shape)) if any(b.shape[dim] > 1 for b in bounds)
        and not (dim == 1 and len(shape) == axes + 2)
    ]  # fmt: skip


def _sizes(shadow: Shadow, rank: int, dim: int) -> Array:
    """Return the largest size of a field for each unit of a period."""
    sizes = full(shadow.hi, rank) - full(shadow.lo, rank)
    lines = np.moveaxis(sizes, dim, 0)
    largest: Array = lines.reshape(len(lines), -1).max(axis=1)
    return np.broadcast_to(largest, (shadow.period,))
