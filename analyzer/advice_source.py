"""From changes of layers to changes of the text that constructs them.

A layer has a chain of calls, its constructor's first. Where the innermost call makes this layer alone, its
arguments are changed there. Where it stands in a helper or a block that makes several, an argument that is
handed through by name is changed at the call further out that is this layer's own; one that is a number in
the helper becomes a parameter of it. What is computed there (`padding=kernel // 2`) is left to follow by
itself, and one call in a loop changes all layers that it makes: what network the text then makes is seen when
it is loaded.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from cifar_report.analyzer.advice_edits import Change, Recipe, arguments
from cifar_report.analyzer.advice_origin import Chain
from cifar_report.analyzer.advice_text import SourceFile, Splice, Unmapped

_POSITIONAL = {"Conv2d": 3, "Linear": 2, "GroupNorm": 2}
"""How many arguments one usually writes without their names."""


def rewritten(
    changes: Iterable[Change], modules: Mapping[str, nn.Module], chains: Mapping[str, Chain]
) -> dict[Path, tuple[bytes, bytes]]:
    """Return the text of every file that changes, before and after.

    Args:
        changes: one per layer.
        modules: the unchanged network's, by path.
        chains: the calls that made them, by path.

    Raises:
        Unmapped: says which layer can't be changed in the source, and why.
    """
    files: dict[Path, SourceFile] = {}
    splices: dict[Path, list[Splice]] = {}
    for change in changes:
        writer = _Writer(change, modules[change.path], chains, files)
        for path, splice in writer.splices():
            splices.setdefault(path, []).append(splice)
    return {path: (files[path].text, files[path].changed(found)) for path, found in splices.items()}


class _Writer:
    """Writes one change."""

    def __init__(
        self, change: Change, layer: nn.Module, chains: Mapping[str, Chain], files: dict[Path, SourceFile]
    ) -> None:
        self.change = change
        self.layer = layer
        self.chain = chains.get(change.path, ())
        self.files = files
        if not self.chain:
            raise Unmapped(f"{change.path} is not constructed in a file of yours")
        self.level = self._own_level(chains)

    def _own_level(self, chains: Mapping[str, Chain]) -> int:
        """Return the innermost call that makes this layer alone, or as few others with it as possible."""
        others = [chain for path, chain in chains.items() if path != self.change.path]
        shared = [
            sum(chain[: level + 1] == self.chain[: level + 1] for chain in others)
            for level in range(len(self.chain))
        ]
        return shared.index(min(shared))

    def splices(self) -> list[tuple[Path, Splice]]:
        """Return what to replace, by file."""
        if self.change.is_plain:
            try:
                return self._settings()
            except Unmapped:
                if not self._is_value(self.level) or self.level == 0:
                    raise
                return self._replaced(self._constructor())
        if not self._is_value(self.level):
            self.level = 0  # all layers that are made there change
        if self.change.keep:
            return self._around()
        return self._replaced(*self.change.after)

    def _file(self, level: int) -> SourceFile:
        path = Path(self.chain[level].file).resolve()
        if path.suffix != ".py" or not path.is_file():
            raise Unmapped(f"{self.change.path} is not constructed in a Python file")
        if path not in self.files:
            self.files[path] = SourceFile(path, path.read_bytes())
        return self.files[path]

    def _call(self, level: int) -> ast.Call:
        return self._file(level).call_at(self.chain[level])

    def _is_value(self, level: int) -> bool:
        """Return whether a call further out returns this very layer."""
        return all(self._file(inner).is_returned(self._call(inner)) for inner in range(level))

    def _settings(self) -> list[tuple[Path, Splice]]:
        parameters = _parameters(self.layer)
        found = [s for name, value in self.change.settings for s in self._argument(name, value, parameters)]
        if not found:
            name = self.change.settings[0][0]
            raise Unmapped(f"no argument in the source sets {name} of {self.change.path}")
        return found

    def _argument(self, name: str, value: Any, parameters: list[str]) -> list[tuple[Path, Splice]]:
        """Return what sets an argument at the layer's own call; nothing where it is computed on the way."""
        found: list[tuple[Path, Splice]] = []
        old = _plain(arguments(self.layer)[name])
        for level in range(self.level):
            file, call = self._file(level), self._call(level)
            passed = file.passed(call, parameters, name)
            function = file.function_around(call)
            if function is None or not isinstance(passed, ast.Name | ast.Constant | None):
                return []
            if isinstance(passed, ast.Name):
                if passed.id not in file.parameters(function):
                    return []
                name = passed.id
            else:
                found.append((file.path, file.set_argument(call, parameters, name, name)))
                found.append((file.path, file.add_parameter(function, name, old)))
            parameters = file.parameters(function)
        file, call = self._file(self.level), self._call(self.level)
        return [*found, (file.path, file.set_argument(call, parameters, name, repr(value)))]

    def _around(self) -> list[tuple[Path, Splice]]:
        """Put layers before and after this one."""
        file, call = self._file(self.level), self._call(self.level)
        try:
            settings = self._settings() if self.change.settings else []
        except Unmapped:
            return self._replaced(*self.change.before, self._constructor(), *self.change.after)
        before, after = (
            [file.spelled(recipe) for recipe in r] for r in (self.change.before, self.change.after)
        )
        return [*settings, *((file.path, splice) for splice in file.wrapped(call, before, after))]

    def _replaced(self, *recipes: Recipe) -> list[tuple[Path, Splice]]:
        file, call = self._file(self.level), self._call(self.level)
        text = ", ".join(map(file.spelled, recipes))
        if len(recipes) > 1:
            text = file.spelled(Recipe("Sequential")).removesuffix(")") + text + ")"
        return [(file.path, Splice(*file.span(call), text))]

    def _constructor(self) -> Recipe:
        """Return the layer with its new arguments, written out."""
        old = arguments(self.layer)
        kind = type(self.layer).__name__
        if kind not in _POSITIONAL:
            raise Unmapped(f"{self.change.path} can't be written out")
        new = {**old, **dict(self.change.settings)}
        names = list(new)[: _POSITIONAL[kind]]
        defaults = inspect.signature(type(self.layer)).parameters
        options = [
            (name, _plain(value))
            for name, value in new.items()
            if name not in names and _plain(value) != defaults[name].default
        ]
        return Recipe(kind, tuple([_plain(new[name]) for name in names]), tuple(options))


def _parameters(layer: nn.Module) -> list[str]:
    """Return the names that a layer's constructor takes by position."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p.name for p in inspect.signature(type(layer)).parameters.values() if p.kind in kinds]


def _plain(value: Any) -> Any:
    """Return `(3, 3)` as `3`."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value
