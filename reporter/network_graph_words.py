"""What a node of the network's graph says, and how wide it is."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from cifar_report.reporter.network_graph_parts import own_weights
from cifar_report.reporter.wording import TIMES, extent, plural

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Layer, Operator, ReceptiveField
    from cifar_report.reporter.network_graph_parts import Group, Part, Parts

Kind = Literal["input", "convolution", "linear", "pooling", "attention", "join", "block", "other"]

KINDS: dict[Kind, str] = {
    "input": "input",
    "convolution": "convolution",
    "linear": "linear and matrix products",
    "pooling": "pooling",
    "attention": "attention",
    "join": "branches meet",
    "block": "several layers",
    "other": "other",
}
"""Every kind in words, for the legend."""

_SHORT = {"BatchNorm": "BN", "LayerNorm": "LN", "GroupNorm": "GN", "InstanceNorm": "IN", "Dropout": "Dropout"}
_JOINS = {"add": "Add", "cat": "Concatenate", "concat": "Concatenate", "mul": "Multiply", "stack": "Stack"}
_PRODUCTS = ("linear", "matmul", "addmm", "bmm", "mm", "baddbmm", "einsum", "dot")
_WIDTHS = (
    ("ijl' ", 0.32, 0.38),
    ("frtIJ,.:;|/\\!()[]-", 0.42, 0.5),
    ("cszLF_?*`", 0.58, 0.69),
    ("mwMW%@…—", 1.0, 1.11),
    (f"ABCDGHKNRUVXZ&OQ+=<>#~^→{TIMES}", 0.84, 0.88),
)
"""Letters and their widths [em], rounded up, regular and bold, in DejaVu Sans, the widest usual font."""
_OTHER_WIDTHS = (0.64, 0.73)


def short_name(row: Layer) -> str:
    """Return a layer's type, short for the ones that everyone knows: `BN` for BatchNorm2d."""
    for name, short in _SHORT.items():
        if row.type.startswith(name):
            return short
    return _JOINS.get(row.type, row.type)


def heading(parts: Parts, group: Group) -> tuple[str, tuple[str, ...]]:
    """Return what a group is, and the settings that make it special."""
    first = group.parts[0]
    if group.repeated:
        label = " + ".join(dict.fromkeys(short_name(part.row) for part in group.parts))
        times = len(group.parts) // len(dict.fromkeys(part.row.type for part in group.parts))
        return f"{times} {TIMES} {label}", ()
    if len(group.parts) > 1:
        return plural(sum(1 for _ in _leaves(group)), "layer"), ()
    windows = [operator for operator in parts.operators(first.row) if "kernel" in operator.attributes]
    if first.children or len(windows) != 1:
        return short_name(first.row), ()
    kernel = TIMES.join(str(size) for size in windows[0].attributes["kernel"])
    return f"{first.row.type} {kernel}", tuple(_settings(windows[0]))


def kind_of(parts: Parts, group: Group) -> Kind:
    """Return the kind that colours a node."""
    part = group.parts[0]
    if len(group.parts) > 1 or (part.children and not own_weights(part)):
        return "block"
    operators = [operator for row in part.rows() for operator in parts.operators(row)]
    names = [operator.op for operator in operators]
    if any("attention" in name for name in (*names, part.row.type.lower())):
        return "attention"
    if any("conv" in name for name in names):
        return "convolution"
    if any(name in _PRODUCTS for name in names):
        return "linear"
    if any("pool" in name for name in names) or (names == ["mean"] and len(part.row.input_shape or ()) > 3):
        return "pooling"
    joins = any(len(operator.inputs) > 1 or operator.op == "cat" for operator in operators)
    return "join" if joins else "other"


def contents(group: Group) -> tuple[str, ...]:
    """Say what is in a closed module: `6 × _DenseLayer`, or its number of layers."""
    counts = (
        Counter(part.row.type for part in _blocks(group.parts[0])) if len(group.parts) == 1 else Counter()
    )
    if len(counts) == 1:
        ((name, number),) = counts.items()
        if number > 1:
            return (f"{number} {TIMES} {name}",)
    if len(group.parts) > 1 and not group.repeated:
        return ()
    each = sum(1 for _ in _leaves(group)) // (len(group.parts) if group.repeated else 1)
    return (plural(each, "layer") + (" each" if group.repeated else ""),) if each > 1 else ()


def field_words(field: ReceptiveField | None) -> str:
    """Return a receptive field as a node says it: `RF 43`, `RF global`; nothing for the input."""
    if field is None:
        return ""
    known = field.kind == "local" and field.size
    return f"RF {extent(field.size).replace(' ', '')}" if known else f"RF {field.kind}"


def shape_words(shape: tuple[int, ...] | None) -> str:
    """Return `64×112×112`."""
    return "no tensor" if shape is None else TIMES.join(str(size) for size in shape) or "a number"


def width(text: str, size: float, *, bold: bool = False, mono: bool = False) -> float:
    """Return how wide a text is at most in the usual fonts [px], for a font size [px]."""
    return sum(_letter(letter, bold, mono) for letter in text) * size


def fitted(
    text: str, room: float, size: float, *, bold: bool = False, mono: bool = False, tail: float = 0.6
) -> str:
    """Return a text, or its two ends around an ellipsis where there is no room [px] for all of it.

    Args:
        text: on one line.
        room: how much there is [px].
        size: of the font [px].
        bold: in bold letters.
        mono: in letters of one width.
        tail: share of what is kept that is kept of the end.
    """
    if width(text, size, bold=bold, mono=mono) <= room:
        return text
    for kept in range(len(text) - 1, 0, -1):
        end = round(kept * tail)
        shorter = text[: kept - end].rstrip() + "…" + text[len(text) - end :].lstrip()
        if width(shorter, size, bold=bold, mono=mono) <= room:
            return shorter
    return "…"


def _letter(letter: str, bold: bool, mono: bool) -> float:
    if unicodedata.combining(letter):
        return 0.0
    if unicodedata.east_asian_width(letter) in "WF" or ord(letter) > 0xFFFF:
        return 1.4
    if mono:
        return 0.61
    widths = next((row[1:] for row in _WIDTHS if letter in row[0]), _OTHER_WIDTHS)
    return widths[1 if bold else 0]


def _settings(operator: Operator) -> Iterator[str]:
    """Yield what isn't usual about a window."""
    settings = operator.attributes
    groups = settings.get("groups", 1)
    if groups > 1:
        yield "depthwise" if groups == settings.get("in_channels") else f"{groups} groups"
    for name in ("stride", "dilation"):
        values = settings.get(name, (1,))
        if max(values) > 1:
            yield f"{name} {extent(values).replace(' ', '')}"


def _leaves(group: Group) -> Iterator[Layer]:
    """Yield the layers in a group that have no parts themselves."""
    return (row for row in group.rows() if row.leaf)


def _blocks(part: Part) -> Iterator[Part]:
    """Yield the parts of a module; what only holds them is looked through."""
    for child in part.children:
        if child.row.container and child.children:
            yield from _blocks(child)
        elif child.row.kind == "module":
            yield child
