"""Which statements of a notebook may run, and what each of them gives, needs and changes.

Imports, functions and classes run. An assignment runs if its value is *plain*: literals, names, operators,
and calls of the functions below, which compute and do nothing else. Of `if` and `try` run the parts that
may. Everything else is left out: loops, `with`, and calls that stand alone, such as `train()`.
"""

from __future__ import annotations

import ast
import copy
import symtable
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

_PLAIN = frozenset({
    "abs", "all", "any", "bool", "dict", "divmod", "enumerate", "filter", "float", "frozenset", "int",
    "isinstance", "len", "list", "map", "max", "min", "pow", "range", "reversed", "round", "set", "slice",
    "sorted", "str", "sum", "tuple", "zip", "collections.OrderedDict", "collections.defaultdict",
    "collections.namedtuple", "functools.partial", "numpy.arange", "numpy.array", "numpy.linspace",
    "numpy.ones", "numpy.prod", "numpy.sqrt", "numpy.zeros", "torch.Size", "torch.arange",
    "torch.cuda.is_available", "torch.device", "torch.eye", "torch.full", "torch.linspace", "torch.ones",
    "torch.tensor", "torch.zeros", "types.SimpleNamespace",
})  # fmt: skip
_PLAIN_LIBRARIES = ("math.", "operator.", "torch.nn.", "typing.")
_PLAIN_METHODS = frozenset({
    "copy", "count", "endswith", "eval", "format", "get", "index", "items", "join", "keys", "lower",
    "replace", "split", "startswith", "strip", "upper", "values",
})  # fmt: skip
_CHANGES = frozenset({
    "add", "add_module", "append", "clear", "discard", "extend", "insert", "pop", "popitem",
    "register_buffer", "register_module", "register_parameter", "remove",
    "reverse", "setdefault", "sort", "update",
})  # fmt: skip
"""Methods of containers and of modules that change what a network is made from."""

_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_LEAVES = ast.FunctionDef | ast.ClassDef | ast.Assign


@dataclass(frozen=True, slots=True)
class Step:
    """A statement of a notebook that may run, or one that may not."""

    node: ast.stmt
    cell: int
    """Number of its code cell."""
    runs: bool
    gives: frozenset[str]
    """Names that it binds; `*` after `import *`."""
    needs: frozenset[str]
    """Names that it reads, at once or when its functions are called."""
    changes: frozenset[str]
    """Names whose value it changes without binding them: `net.fc = ...`, `layers.append(...)`."""


def steps(node: ast.stmt, cell: int, stands_for: Mapping[str, str]) -> list[Step]:
    """Return what of a statement may run, then what of it is left out.

    Args:
        node: the statement.
        cell: number of its code cell.
        stands_for: what `meanings` found in the notebook.
    """
    kept, left = _sift([node], stands_for)
    parts = [(part, True) for part in kept] + [(part, False) for part in left]
    return [Step(part, cell, runs, *_names(part), _changes(part, stands_for)) for part, runs in parts]


def meanings(nodes: Iterable[ast.stmt]) -> dict[str, str]:
    """Return what names stand for: `torch.nn` for `nn`, and `.Net` for a class of the notebook."""
    found: dict[str, str] = {}
    for node in nodes:
        for part in ast.walk(node):
            if isinstance(part, ast.Import):
                found.update({a.asname: a.name for a in part.names if a.asname})
            elif isinstance(part, ast.ImportFrom):
                found.update({a.asname or a.name: f"{part.module}.{a.name}" for a in part.names})
        if isinstance(node, ast.ClassDef):
            found[node.name] = f".{node.name}"
    return found


def network_classes(nodes: Iterable[ast.stmt], stands_for: Mapping[str, str]) -> set[str]:
    """Return the notebook's classes that derive from torch's modules, as far as what is written tells."""
    classes = [node for node in nodes if isinstance(node, ast.ClassDef)]
    networks: set[str] = set()
    for node in classes:
        bases = [_meaning(base, stands_for) for base in node.bases]
        if any(b.startswith("torch.nn.") or b.endswith("Module") or b[1:] in networks for b in bases):
            networks.add(node.name)
    return networks


def makes_network(node: ast.stmt, stands_for: Mapping[str, str], networks: Collection[str]) -> bool:
    """Tell whether a statement may define a network, from what is written alone.

    Args:
        node: the statement.
        stands_for: what `meanings` found in the notebook.
        networks: what `network_classes` found there; an instance of another class isn't even made.
    """
    if isinstance(node, ast.If | ast.Try):
        parts = [part for part in ast.walk(node) if isinstance(part, _LEAVES)]
        return any(makes_network(part, stands_for, networks) for part in parts)
    if isinstance(node, ast.ClassDef):
        return bool(node.bases)
    if isinstance(node, ast.FunctionDef):
        returned = [part.value for part in ast.walk(node) if isinstance(part, ast.Return)]
        return any(isinstance(value, ast.Call | ast.Name) for value in returned)
    return isinstance(node, ast.Assign) and _is_instance(node.value, stands_for, networks)


def _is_instance(value: ast.expr, stands_for: Mapping[str, str], networks: Collection[str]) -> bool:
    """Tell whether a value is `Net(...)`, `nn.Sequential(...)` or `Net().eval()`."""
    if not isinstance(value, ast.Call):
        return False
    if isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Call):
        return _is_instance(value.func.value, stands_for, networks)
    called = _meaning(value.func, stands_for)
    return called.startswith("torch.nn.") or called[1:] in networks


def _sift(nodes: Iterable[ast.stmt], stands_for: Mapping[str, str]) -> tuple[list[ast.stmt], list[ast.stmt]]:
    """Return the parts of statements that run, and those that don't."""
    kept: list[ast.stmt] = []
    left: list[ast.stmt] = []
    for node in nodes:
        if isinstance(node, ast.If) and _is_plain(node.test, stands_for):
            fields: tuple[str, ...] = ("body", "orelse")
        elif isinstance(node, ast.Try):
            fields = ("body", "orelse", "finalbody")
        else:
            (kept if _runs(node, stands_for) else left).append(node)
            continue
        sifted = copy.copy(node)
        for field in fields:
            parts, rest = _sift(getattr(node, field), stands_for)
            setattr(
                sifted, field, parts or ([ast.copy_location(ast.Pass(), node)] if field == "body" else [])
            )
            left += rest
        if isinstance(sifted, ast.Try):
            sifted.handlers = [copy.copy(handler) for handler in sifted.handlers]
            for handler in sifted.handlers:
                parts, rest = _sift(handler.body, stands_for)
                handler.body = parts or [ast.copy_location(ast.Pass(), handler)]
                left += rest
        kept.append(sifted)
    return kept, left


def _runs(node: ast.stmt, stands_for: Mapping[str, str]) -> bool:
    """Tell whether a statement does nothing but define names."""
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
        return node.value is None or _is_plain(node.value, stands_for)
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Pass | _DEFINITIONS)


def _is_plain(node: ast.AST, stands_for: Mapping[str, str]) -> bool:
    """Tell whether a value is computed without doing anything else."""
    if isinstance(node, ast.Lambda):
        return True
    if isinstance(node, ast.Await | ast.Yield | ast.YieldFrom):
        return False
    if isinstance(node, ast.Call):
        called = _meaning(node.func, stands_for)
        method = isinstance(node.func, ast.Attribute) and node.func.attr in _PLAIN_METHODS
        own_class = called.startswith(".") and called.count(".") == 1
        if not (method or own_class or called in _PLAIN or called.startswith(_PLAIN_LIBRARIES)):
            return False
    return all(_is_plain(part, stands_for) for part in ast.iter_child_nodes(node))


def _meaning(node: ast.expr, stands_for: Mapping[str, str]) -> str:
    """Return what a dotted name stands for, such as `torch.nn.Linear`; empty for other expressions."""
    if isinstance(node, ast.Name):
        return stands_for.get(node.id, node.id)
    if isinstance(node, ast.Attribute) and (base := _meaning(node.value, stands_for)):
        return f"{base}.{node.attr}"
    return ""


def _names(node: ast.stmt) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names of the notebook that a statement binds, and those that it reads, by Python's rules."""
    table = symtable.symtable(ast.unparse(node), "cell", "exec")
    gives = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported()}
    if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
        gives.add("*")
    needs = {s.get_name() for s in table.get_symbols() if s.is_referenced()}
    tables = table.get_children()
    while tables:
        inner = tables.pop()
        needs |= {s.get_name() for s in inner.get_symbols() if s.is_global() and s.is_referenced()}
        tables += inner.get_children()
    return frozenset(gives), frozenset(needs)


def _changes(node: ast.AST, stands_for: Mapping[str, str]) -> frozenset[str]:
    """Return the names, other than of libraries, whose value a statement changes."""
    if isinstance(node, _DEFINITIONS):  # a decorator such as @add_to_class(Net) changes the class
        named = [
            p for decorator in node.decorator_list for p in ast.walk(decorator) if isinstance(p, ast.Name)
        ]
        return frozenset(part.id for part in named if stands_for.get(part.id) == f".{part.id}")
    changed: set[str] = set()
    for part in ast.iter_child_nodes(node):
        changed |= _changes(part, stands_for)
    at: ast.AST = node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CHANGES:
        at = node.func
    elif not (isinstance(node, ast.Attribute | ast.Subscript) and not isinstance(node.ctx, ast.Load)):
        return frozenset(changed)
    while isinstance(at, ast.Attribute | ast.Subscript):
        at = at.value
    if isinstance(at, ast.Name) and stands_for.get(at.id, "." + at.id) == "." + at.id:
        changed.add(at.id)
    return frozenset(changed)
