"""A notebook's code cells: read from its file, without magics and shell lines, as Python with its places."""

from __future__ import annotations

import ast
import json
import re
import textwrap
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cifar_report.analyzer.errors import UsageError

_SHELL = re.compile(r"\s*([%!?]|[\w.\[\], ]+=\s*[%!])|.*\?\s*$")
"""A line that IPython would read and Python can't: `%matplotlib inline`, `!pip install`, `files = !ls`."""

_PYTHON_MAGICS = ("%%time", "%%timeit", "%%capture", "%%prun")
"""Cell magics below which Python stands; other cells with one are of another language, or a file's text."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A code cell."""

    number: int
    """Counted from 1 among the code cells."""
    text: str
    """Its Python: magics and shell lines are `pass`."""
    body: tuple[ast.stmt, ...]
    """What it runs; nothing where it can't be read."""
    error: SyntaxError | None

    def file(self, notebook: Path) -> str:
        """Return what its code is compiled as, so that messages name the cell before the line."""
        return f"{notebook}, code cell {self.number}"


def read_cells(file: Path, shown: str) -> list[Cell]:
    """Return the code cells of a notebook, in their order.

    Args:
        file: the notebook.
        shown: how the user named it.

    Raises:
        UsageError: not a notebook of Python in the format that all programs write since 2015.
    """
    notebook = _document(file, shown)
    language = _language(notebook)
    if language not in ("python", "ipython"):
        raise UsageError(f"{shown} is a notebook of another language", expected="Python", found=language)
    code = [cell for cell in notebook["cells"] if isinstance(cell, dict) and cell.get("cell_type") == "code"]
    return [_cell(number, _text(cell.get("source"))) for number, cell in enumerate(code, 1)]


def _document(file: Path, shown: str) -> dict[str, Any]:
    """Return the notebook's JSON, of a form that can be relied on."""
    try:
        document = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{shown} can't be read as a notebook", expected="JSON, as Jupyter saves it", found=str(error)
        ) from None
    if isinstance(document, dict) and isinstance(document.get("worksheets"), list):
        raise UsageError(
            f"{shown} has the old notebook format {document.get('nbformat', '3')}",
            expected="format 4",
            hint=f"jupyter nbconvert --to notebook --inplace {shown}",
        )
    if not isinstance(document, dict) or not isinstance(document.get("cells"), list):
        raise UsageError(f"{shown} is not a notebook", expected='a list "cells" in it')
    return document


def _language(notebook: dict[str, Any]) -> str:
    """Return a notebook's language in small letters; one that says none is taken for Python's."""
    metadata = notebook.get("metadata")
    for entry, key in (("kernelspec", "language"), ("language_info", "name")):
        section = metadata.get(entry) if isinstance(metadata, dict) else None
        if isinstance(section, dict) and isinstance(section.get(key), str):
            return str(section[key]).lower()
    return "python"


def _text(source: Any) -> str:
    """Return a cell's text, which is kept whole or line by line."""
    return "".join(str(line) for line in source) if isinstance(source, list) else str(source or "")


def _cell(number: int, text: str) -> Cell:
    """Read a cell; a line that Python stumbles over is left out if IPython means something by it."""
    lines = textwrap.dedent(text).splitlines()
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.startswith("%%") and not first.startswith(_PYTHON_MAGICS):
        return Cell(number, text, (), None)
    while True:
        text = "\n".join(lines) + "\n"
        try:
            return Cell(number, text, _parse(text), None)
        except SyntaxError as error:
            at = (error.lineno or 0) - 1
            if not 0 <= at < len(lines) or not _SHELL.match(lines[at]):
                return Cell(number, text, (), error)
            _blank(lines, at)


def _parse(text: str) -> tuple[ast.stmt, ...]:
    """Return the statements of Python that compiles; `await` may stand outside of functions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes and comparisons of the user's
        try:
            tree = ast.parse(text)
            compile(tree, "cell", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        except (ValueError, RecursionError) as error:
            raise SyntaxError(str(error)) from None
    return tuple(tree.body)


def _blank(lines: list[str], at: int) -> None:
    """Replace a line, and those that it goes on in, so that the others keep their numbers."""
    indent = lines[at][: len(lines[at]) - len(lines[at].lstrip())]
    goes_on = True
    while goes_on and at < len(lines):
        goes_on = lines[at].rstrip().endswith("\\")
        lines[at] = f"{indent}pass"
        at += 1
