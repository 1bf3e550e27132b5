"""A Python file whose calls can be changed in place: positions from `ast`, everything else stays as it is."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path

from cifar_report.analyzer.advice_edits import Recipe
from cifar_report.analyzer.advice_origin import Site

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Unmapped(Exception):
    """Why a change can't be written into the source."""


@dataclass(frozen=True, slots=True)
class Splice:
    """A piece of a file that gives way to another; positions in bytes."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class SourceFile:
    """A file, parsed."""

    path: Path
    text: bytes

    @cached_property
    def tree(self) -> ast.Module:
        """The file's syntax tree."""
        return ast.parse(self.text)

    @cached_property
    def parents(self) -> Mapping[ast.AST, ast.AST]:
        """Every node's parent."""
        return {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}

    @cached_property
    def _lines(self) -> list[int]:
        starts = [0]
        for line in self.text.split(b"\n"):
            starts.append(starts[-1] + len(line) + 1)
        return starts

    def call_at(self, site: Site) -> ast.Call:
        """Return the call at a place.

        Raises:
            Unmapped: there is none, as for a decorator or a subscript that constructs.
        """
        wanted = (site.line, site.column, site.end_line, site.end_column)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                place = (node.lineno, node.col_offset, node.end_lineno, node.end_col_offset)
                if place == wanted:
                    return node
        raise Unmapped(f"line {site.line} of {self.path.name} constructs it without calling it by name")

    def span(self, node: ast.expr | ast.arg) -> tuple[int, int]:
        """Return where a node starts and ends [bytes]."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self._lines[node.lineno - 1] + node.col_offset
        return start, self._lines[node.end_lineno - 1] + node.end_col_offset

    def function_around(self, node: ast.AST) -> Function | None:
        """Return the function that a node stands in."""
        around = self.parents.get(node)
        while around is not None and not isinstance(around, Function):
            around = self.parents.get(around)
        return around

    def is_returned(self, call: ast.Call) -> bool:
        """Return whether a function's result is this call's."""
        return isinstance(self.parents.get(call), ast.Return)

    def parameters(self, function: Function) -> list[str]:
        """Return what a call of a function may pass, in order; without `self`."""
        arguments = function.args
        names = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in function.decorator_list)
        if isinstance(self.parents.get(function), ast.ClassDef) and not static:
            names = names[1:]
        return names + [argument.arg for argument in arguments.kwonlyargs]

    def passed(self, call: ast.Call, parameters: list[str], name: str) -> ast.expr | None:
        """Return what a call passes for a parameter; None where it leaves it out.

        Raises:
            Unmapped: stars in the call hide it.
        """
        for keyword in call.keywords:
            if keyword.arg == name:
                return keyword.value
        position = parameters.index(name) if name in parameters else len(parameters)
        before = call.args[: position + 1]
        if any(isinstance(argument, ast.Starred) for argument in before):
            raise Unmapped(f"line {call.lineno} of {self.path.name} passes it with a star")
        return before[position] if position < len(call.args) else None

    def set_argument(self, call: ast.Call, parameters: list[str], name: str, value: str) -> Splice:
        """Return what makes a call pass a value for a parameter."""
        old = self.passed(call, parameters, name)
        if old is not None:
            return Splice(*self.span(old), value)
        values = [*call.args, *(keyword.value for keyword in call.keywords)]
        ends = [self.span(value)[1] for value in values]
        if not ends:
            end = self.span(call)[1] - 1
            return Splice(end, end, f"{name}={value}")
        end = self._behind_parentheses(max(ends), self.span(call)[1])
        return Splice(end, end, f", {name}={value}")

    def add_parameter(self, function: Function, name: str, default: object) -> Splice:
        """Return what gives a function one more parameter, by keyword and with a default.

        Raises:
            Unmapped: the name is taken, or the function takes any arguments by keyword.
        """
        taken = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
        if name in taken | set(self.parameters(function)) or function.args.kwarg or function.args.kwonlyargs:
            raise Unmapped(f"{function.name} in {self.path.name} has no parameter {name}, and can't get one")
        arguments = function.args
        star = arguments.vararg
        every = [*arguments.posonlyargs, *arguments.args, *([star] if star else [])]
        ends = [self.span(node)[1] for node in every] + [self.span(node)[1] for node in arguments.defaults]
        ends += [self.span(a.annotation)[1] for a in every if a.annotation is not None]
        last = max(ends)
        annotated = any(argument.annotation for argument in arguments.args)
        kind = type(default).__name__
        text = f", {name}: {kind} = {default!r}" if annotated else f", {name}={default!r}"
        return Splice(last, last, text)

    def _behind_parentheses(self, place: int, end: int) -> int:
        """Return where an argument ends with the parentheses around it, which belong to no node."""
        rest = self.text[place : end - 1]
        code = b"\n".join(line.partition(b"#")[0].ljust(len(line)) for line in rest.split(b"\n"))
        return place + code.rfind(b")") + 1

    def wrapped(self, call: ast.Call, before: Sequence[str], after: Sequence[str]) -> list[Splice]:
        """Return what makes a call one of several in an `nn.Sequential`, on lines of their own if need be."""
        start, end = self.span(call)
        first = self.text.rfind(b"\n", 0, start) + 1
        stop = self.text.find(b"\n", end)
        line = self.text[first : stop if stop >= 0 else len(self.text)].decode()
        opening = self.spelled(Recipe("Sequential")).removesuffix(")")
        head = "".join(f"{text}, " for text in before)
        tail = "".join(f", {text}" for text in after)
        if len(line) + len(opening) + len(head) + len(tail) < self._width and "\n" not in line:
            return [Splice(start, start, opening + head), Splice(end, end, tail + ")")]
        indent = line[: len(line) - len(line.lstrip())]
        deep = f"\n{indent}    "
        head = "".join(f"{deep}{text}," for text in before)
        tail = "".join(f",{deep}{text}" for text in after)
        shifts = [Splice(place, place, "    ") for place in self._line_starts(call)]
        return [Splice(start, start, opening + head + deep), *shifts, Splice(end, end, f"{tail},\n{indent})")]

    def _line_starts(self, call: ast.Call) -> Iterable[int]:
        """Yield where the further lines of a call begin."""
        assert call.end_lineno is not None
        return (self._lines[number - 1] for number in range(call.lineno + 1, call.end_lineno + 1))

    @cached_property
    def _width(self) -> int:
        return max(88, min(120, max(map(len, self.text.decode().splitlines()), default=0)))

    def spelled(self, recipe: Recipe) -> str:
        """Return a layer as this file would write it.

        Raises:
            Unmapped: the file has no name for torch.nn.
        """
        for node in self.tree.body:
            if isinstance(node, ast.ImportFrom) and node.module == "torch.nn":
                names = {alias.name: alias.asname or alias.name for alias in node.names}
                if recipe.kind in names or "*" in names:
                    return str(recipe).replace(recipe.kind, names.get(recipe.kind, recipe.kind), 1)
        return f"{self._nn}.{recipe}"

    @cached_property
    def _nn(self) -> str:
        found = ""
        for node in self.tree.body:
            for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
                if isinstance(node, ast.ImportFrom):
                    if node.module == "torch" and alias.name == "nn":
                        return alias.asname or "nn"
                elif alias.name == "torch.nn" and alias.asname:
                    return alias.asname
                elif alias.name in ("torch", "torch.nn"):
                    found = f"{alias.asname or 'torch'}.nn"
        if not found:
            raise Unmapped(f"{self.path.name} doesn't import torch.nn as a whole")
        return found

    def changed(self, splices: Iterable[Splice]) -> bytes:
        """Return the file's text with pieces replaced.

        Raises:
            Unmapped: two of them want different things of one place.
        """
        text = self.text
        ordered = sorted(dict.fromkeys(splices), key=lambda splice: (splice.start, splice.end))
        for one, two in pairwise(ordered):
            if two.start < one.end:
                raise Unmapped(f"one place in {self.path.name} would have to say two things")
        for splice in reversed(ordered):
            text = text[: splice.start] + splice.text.encode() + text[splice.end :]
        return text
