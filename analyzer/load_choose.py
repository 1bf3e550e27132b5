"""Which network a file means when it names none.

The rule: networks are the `nn.Module` classes, the functions that return one, and the instances with
parameters, each defined in the file itself and without a leading underscore. A single one is taken. Of
several, those that another one uses are parts (`Block` in `Net`); if exactly one of the rest can be built
without arguments, it is taken, and said. Otherwise the user is asked to choose.
"""

from __future__ import annotations

import ast
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from torch import nn

from cifar_report.analyzer.errors import ModelError
from cifar_report.analyzer.load_build import required

Definition = ast.ClassDef | ast.FunctionDef | ast.Assign | ast.AnnAssign
Definitions = Mapping[str, Definition]


@dataclass(frozen=True, slots=True)
class Source:
    """An imported file, module or notebook."""

    module: ModuleType
    body: Sequence[ast.stmt] = ()
    """What it runs on import; nothing where that isn't Python, as in a compiled module."""
    place: Callable[[ast.stmt], str] = lambda node: f"line {node.lineno}"
    """Where a statement of it stands, in words."""
    absent: Mapping[str, ModelError] = field(default_factory=dict)
    """Names that a notebook gives a value and that have none here, each with the reason; `*` is any other."""

    def reason(self, name: str | None) -> ModelError | None:
        """Return why a name has no value, where that is known."""
        return self.absent.get(name or "") or self.absent.get("*")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A class, function or instance that may be the network."""

    name: str
    place: str
    """Where it is defined, such as `line 4`."""
    value: Any
    needs: tuple[str, ...]
    """Arguments without a default."""
    user: str | None
    """Another candidate that uses this one."""


def candidates(source: Source) -> tuple[Candidate, ...]:
    """Return the networks that a module defines, in the order of their lines."""
    namespace, definitions = vars(source.module), _definitions(source.body)
    reader = _Reader(namespace, definitions)
    values = {name: namespace[name] for name in definitions if reader.is_network(name)}
    reach = {name: _reach(name, definitions) for name in values}
    users = {name: [user for user in values if name in reach[user] and user != name] for name in values}
    return tuple(
        Candidate(
            name, source.place(definitions[name]), value, required(value), next(iter(users[name]), None)
        )
        for name, value in values.items()
    )


def choose(found: Iterable[Candidate]) -> Candidate | None:
    """Return the candidate that is meant, or None where only the user can tell."""
    found = tuple(found)
    if len(found) == 1:
        return found[0]
    ready = [candidate for candidate in found if candidate.user is None and not candidate.needs]
    return ready[0] if len(ready) == 1 else None


def _definitions(body: Iterable[ast.stmt]) -> dict[str, Definition]:
    """Return what the module's own level defines, by name; `if` and `try` are looked into."""
    found: dict[str, Definition] = {}
    for node in _statements(body):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found[node.name] = node
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update({target.id: node for target in targets if isinstance(target, ast.Name)})
    return {name: node for name, node in found.items() if not name.startswith("_")}


def _statements(nodes: Iterable[ast.AST]) -> Iterator[ast.stmt]:
    """Yield statements and those inside of them, but not what functions and classes hold."""
    for node in nodes:
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, ast.expr | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _statements(ast.iter_child_nodes(node))


def _reach(name: str, definitions: Definitions) -> set[str]:
    """Return the definitions that one uses, directly or through others."""
    reached: set[str] = set()
    waiting = [name]
    while waiting:
        node = definitions[waiting.pop()]
        used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)} & definitions.keys()
        waiting.extend(used - reached)
        reached |= used
    return reached


@dataclass(frozen=True, slots=True)
class _Reader:
    """Tells what is a network in a module, without calling anything of it."""

    namespace: Mapping[str, Any]
    definitions: Definitions

    def is_network(self, name: str) -> bool:
        """Tell whether a definition is one; bare losses and activations are not."""
        value, node = self.namespace.get(name), self.definitions[name]
        if isinstance(node, ast.ClassDef):
            return isinstance(value, type) and issubclass(value, nn.Module)
        if isinstance(node, ast.FunctionDef):
            return callable(value) and (_annotated(value) or self._returns_network(node, ()))
        return isinstance(value, nn.Module) and any(True for _ in value.parameters())

    def _returns_network(self, node: ast.FunctionDef, callers: tuple[str, ...]) -> bool:
        """Tell from the `return` statements whether each of them returns a network."""
        own = list(_statements(node.body))
        made = {
            target.id: part.value
            for part in own
            if isinstance(part, ast.Assign)
            for target in part.targets
            if isinstance(target, ast.Name)
        }
        returned = [part.value for part in own if isinstance(part, ast.Return)]
        values = [made.get(value.id) if isinstance(value, ast.Name) else value for value in returned]
        return bool(values) and all(self._makes_network(value, (*callers, node.name)) for value in values)

    def _makes_network(self, value: ast.expr | None, callers: tuple[str, ...]) -> bool:
        """Tell whether an expression is `Net(...)`, `nn.Sequential(...)`, `build()` or `Net().eval()`."""
        if not isinstance(value, ast.Call):
            return False
        if isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Call):
            return self._makes_network(value.func.value, callers)
        called = self._look_up(value.func)
        if isinstance(called, type):
            return issubclass(called, nn.Module)
        node = self.definitions.get(ast.unparse(value.func))
        if isinstance(node, ast.FunctionDef) and node.name not in callers:
            return _annotated(called) or self._returns_network(node, callers)
        return _annotated(called)

    def _look_up(self, node: ast.expr) -> Any:
        """Return what a dotted name stands for, None where it stands for nothing."""
        if isinstance(node, ast.Name):
            return self.namespace.get(node.id)
        if isinstance(node, ast.Attribute):
            return getattr(self._look_up(node.value), node.attr, None)
        return None


def _annotated(function: Any) -> bool:
    """Tell whether a function says that it returns a network."""
    try:
        result = typing.get_type_hints(function).get("return")
    except Exception:  # an annotation is somebody's code and may raise anything
        return False
    return isinstance(result, type) and issubclass(result, nn.Module)
