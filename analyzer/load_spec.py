"""How a network is named: by file, notebook, module, collection, repository, or as a built-in one.

`model.py`, `model.py:Net(width=32)`, `notebook.ipynb:Net`, `package.module:build()`, `torchvision:resnet18`,
`timm:resnet18`, `hub:OWNER/REPO:NAME`, `document_003`.
What stands in the parentheses is read as Python literals and never run.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from cifar_report.analyzer.errors import UsageError

_FORMS = "model.py, model.py:Net, model.py:Net(num_classes=10), package.module:build() or a built-in name"
_HUB = "hub:OWNER/REPO:NAME or hub:OWNER/REPO:BRANCH:NAME, such as hub:pytorch/vision:resnet18"
_LITERALS = "Python literals, such as 10, 0.5, 'gelu', (3, 3), True or None"


Kind = Literal["file", "module", "built-in", "torchvision", "timm", "hub"]


@dataclass(frozen=True, slots=True)
class Call:
    """What follows the colon."""

    name: str
    """Dotted name inside of the file, module or collection."""
    parentheses: bool
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spec:
    """A network's name taken apart."""

    text: str
    """As the user wrote it."""
    kind: Kind
    target: str
    """Path, dotted module, built-in name, or collection: `torchvision`, `timm`, `hub:OWNER/REPO:BRANCH`."""
    call: Call | None
    """None where only a file or module is named."""


def parse_spec(text: str, built_in: Collection[str]) -> Spec:
    """Take a network's name apart, without looking whether it exists.

    Args:
        text: as given on the command line.
        built_in: names of the built-in networks; a file of such a name is written `./name`.

    Raises:
        UsageError: not a name of a network, with a caret below the place.
    """
    if text in built_in:
        return Spec(text, "built-in", text, None)
    if not text.strip():
        raise UsageError("the network has an empty name", expected=_FORMS)
    if Path(text).exists():
        return Spec(text, "file", text, None)
    kind, target = _head(text)
    named = len(target) < len(text)
    return Spec(text, kind, target, _parse_call(text, len(target) + 1) if named else None)


def _head(text: str) -> tuple[Kind, str]:
    """Return what kind of name it is, and the part before the colon that the network's own name follows."""
    if collection := re.match(r"(torchvision|timm)(?=:)", text):
        return ("timm" if collection[1] == "timm" else "torchvision"), collection[1]
    if text.startswith("hub:"):
        repository = re.match(r"hub:[\w.-]+/[\w.-]+(?::[^:()]+(?=:))?(?=:)", text)
        if repository is None:
            raise _misread(text, len("hub:"), "this names no network of a repository", _HUB)
        return "hub", repository[0]
    if file := re.match(r"(.*?\.(?:py|ipynb))(?::|$)", text, re.DOTALL):
        return "file", file[1]
    target = text.partition(":")[0]
    return ("file" if re.search(r"[\\/]", target) else "module"), target


def _parse_call(text: str, start: int) -> Call:
    """Read `Net`, `nets.Net` or `Net(10, width=0.5)`, which begins at `start`."""
    source = text[start:]
    if not source.strip():
        raise _misread(text, start, "nothing follows the colon", _FORMS)
    try:
        node = ast.parse(source.lstrip(), mode="eval").body
    except SyntaxError as error:
        column = start + len(source) - len(source.lstrip()) + max((error.offset or 1) - 1, 0)
        raise _misread(text, column, f"the network's name can't be read: {error.msg}", _FORMS) from None
    start += len(source) - len(source.lstrip())
    called = isinstance(node, ast.Call)
    name = node.func if isinstance(node, ast.Call) else node
    if not all(isinstance(part, ast.Name | ast.Attribute) for part in _parts(name)):
        raise _misread(text, start, "a class or a function is named after the colon", _FORMS)
    args = tuple(_literal(text, start, arg) for arg in node.args) if isinstance(node, ast.Call) else ()
    kwargs = {}
    for keyword in node.keywords if isinstance(node, ast.Call) else ():
        if keyword.arg is None:
            raise _misread(text, start + keyword.col_offset, "** can't be used here", "name=value")
        kwargs[keyword.arg] = _literal(text, start, keyword.value)
    return Call(ast.unparse(name), called, args, kwargs)


def _parts(node: ast.expr) -> list[ast.expr]:
    """Return `a.b.c` and what its dots stand on."""
    return [node, *_parts(node.value)] if isinstance(node, ast.Attribute) else [node]


def _literal(text: str, start: int, node: ast.expr) -> Any:
    """Return an argument's value; anything that would have to be run is refused."""
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError):
        hint = f"for text, write '{node.id}' with its quotes" if isinstance(node, ast.Name) else ""
        column = start + node.col_offset
        raise _misread(text, column, "an argument is not a literal", _LITERALS, hint) from None


def _misread(text: str, column: int, what: str, expected: str, hint: str = "") -> UsageError:
    """Return the error that shows the name with a caret below a column."""
    return UsageError(f"{what}\n    {text}\n    {' ' * column}^", expected=expected, hint=hint)
