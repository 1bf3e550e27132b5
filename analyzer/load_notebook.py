"""From a notebook to a module with the network in it, without running what the notebook does.

Only what the network needs is run, in the notebook's order: from the statements that may run
(`load_sift`), those that give, change or are read by a definition of it, directly or through others. What
fails or may not run leaves its names without a value and with the reason, which is told where one is missed.
"""

from __future__ import annotations
import __future__

import ast
import linecache
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cifar_report.analyzer.errors import ModelError
from cifar_report.analyzer.load_cells import Cell, read_cells
from cifar_report.analyzer.load_choose import Source
from cifar_report.analyzer.load_failure import import_failure, shown_path, syntax_failure
from cifar_report.analyzer.load_guest import new_module
from cifar_report.analyzer.load_sift import Step, makes_network, meanings, network_classes, steps
from cifar_report.analyzer.load_spec import Spec


@dataclass(frozen=True, slots=True)
class NotebookRun:
    """What was taken from a notebook."""

    source: Source
    said: tuple[str, ...]
    """What was left out or defined twice, a sentence each."""
    steps: Sequence[Step]

    def gaps(self, name: str) -> list[str]:
        """Return a sentence for each name without a value that a network reads: its forward may miss it."""
        missing = sorted(_needed([name.partition(".")[0]], self.steps) & self.source.absent.keys())
        reasons = {id(self.source.absent[name]): self.source.absent[name] for name in missing}
        return [f"{reason.what} ({reason.found})" for reason in reasons.values()]


def run_notebook(file: Path, spec: Spec) -> NotebookRun:
    """Run what a notebook's networks need, and nothing else of it.

    Args:
        file: the notebook.
        spec: its name; with the network's own, only what that one needs is run.

    Raises:
        UsageError: not a notebook of Python.
    """
    notebook = _Notebook(file, spec.target, read_cells(file, spec.target))
    statements = [(node, cell) for cell in notebook.cells for node in cell.body]
    nodes = [node for node, _ in statements]
    stands_for = meanings(nodes)
    every = [step for node, cell in statements for step in steps(node, cell.number, stands_for)]
    if spec.call is not None:
        roots = {spec.call.name.partition(".")[0]}
    else:
        networks = network_classes(nodes, stands_for)
        makers = [step for step in every if makes_network(step.node, stands_for, networks)]
        roots = {name for step in makers for name in step.gives}
    needed = _needed(roots, every)
    wanted = [step for step in every if _concerns(step, needed)]
    source = _run(wanted, notebook, _future_flags(every))
    said = [notebook.unread(cell) for cell in notebook.cells if cell.error]
    return NotebookRun(source, (*said, *_repeated(wanted)), every)


def _needed(roots: Iterable[str], every: Sequence[Step]) -> set[str]:
    """Return all names that some names depend on, and these."""
    needed, before = set(roots), -1
    while len(needed) > before:
        before = len(needed)
        for step in every:
            if step.runs and _concerns(step, needed):
                needed |= step.needs
    return needed


def _concerns(step: Step, needed: set[str]) -> bool:
    """Tell whether a statement gives or changes one of these names; `import *` may give any."""
    return "*" in step.gives or not needed.isdisjoint(step.gives | step.changes)


def _future_flags(every: Iterable[Step]) -> int:
    """Return how to compile after a notebook's `from __future__ import ...`, which holds for later cells."""
    nodes = [step.node for step in every if isinstance(step.node, ast.ImportFrom)]
    names = {alias.name for node in nodes if node.module == "__future__" for alias in node.names}
    return sum(getattr(__future__, name).compiler_flag for name in names)


def _run(wanted: Sequence[Step], notebook: _Notebook, flags: int) -> Source:
    """Run statements in one module, each on its own, and note what each failure leaves without a value."""
    module = new_module(notebook.file)
    absent = {name: notebook.torn(cell) for cell in notebook.cells if cell.error for name in _mentioned(cell)}
    numbers = {id(part): step.cell for step in wanted for part in ast.walk(step.node)}

    def place(node: ast.stmt) -> str:
        return f"code cell {numbers[id(node)]}, line {node.lineno}"

    source = Source(module, [step.node for step in wanted], place, absent)
    for step in wanted:
        reason = notebook.execute(step, source, flags) if step.runs else notebook.left_out(step)
        for name in step.gives:
            absent.pop(name, None)
        if reason is not None:
            for name in step.gives | step.changes:
                absent[name] = reason
                vars(module).pop(name, None)
    return source


@dataclass(frozen=True, slots=True)
class _Notebook:
    """A notebook's cells, and what to say of them."""

    file: Path
    shown: str
    """How the user named the file."""
    cells: Sequence[Cell]

    def execute(self, step: Step, source: Source, flags: int) -> ModelError | None:
        """Run a statement in the module; return why it failed."""
        cell = self.cells[step.cell - 1]
        name = cell.file(self.file)
        # Where Python looks for the lines of a traceback, and `inspect` for the text of a function.
        linecache.cache[name] = (len(cell.text), None, cell.text.splitlines(keepends=True), name)
        try:
            code = compile(ast.Module([step.node], []), name, "exec", flags=flags, dont_inherit=True)
            exec(code, vars(source.module))  # running the user's definitions is what was asked for
        except NameError as error:
            return source.reason(error.name) or import_failure(error, self.shown, self.file.parent)
        except (Exception, SystemExit) as error:
            return import_failure(error, self.shown, self.file.parent)
        return None

    def left_out(self, step: Step) -> ModelError:
        """Return the reason why names have no value: the statement that gives them does more than that."""
        cell = self.cells[step.cell - 1]
        names = ", ".join(sorted(step.gives or step.changes))
        line = cell.text.splitlines()[step.node.lineno - 1].strip()
        classes = [f"{self.shown}:{name}" for name in sorted(step.needs) if name[:1].isupper()]
        return ModelError(
            f"{self.shown}: {names} comes from a statement that a check does not run",
            expected="imports, definitions, and values written down or computed from such",
            found=f"{self._place(cell)}, line {step.node.lineno}: {line}",
            hint=f"name {' or '.join(classes)}, if that makes it; or write the value down" if classes
            else "write the value down, or give it to the network as an argument",
        )  # fmt: skip

    def torn(self, cell: Cell) -> ModelError:
        """Return the message for a cell that isn't Python."""
        error = cell.error
        assert error is not None
        error.filename = cell.file(self.file)
        error.text = error.text or (cell.text.splitlines()[error.lineno - 1] if error.lineno else "")
        return syntax_failure(error, error.filename)

    def unread(self, cell: Cell) -> str:
        """Return the sentence about a cell that isn't Python."""
        assert cell.error is not None
        where = f"{self._place(cell)}, line {cell.error.lineno}"
        return f"{where} is not Python, so the cell is left out: {cell.error.msg}"

    def _place(self, cell: Cell) -> str:
        return shown_path(Path(cell.file(self.file)))


def _mentioned(cell: Cell) -> list[str]:
    """Return the names that a cell which can't be read would have defined."""
    return re.findall(r"^(?:class|def)\s+(\w+)", cell.text, re.MULTILINE)


def _repeated(wanted: Iterable[Step]) -> list[str]:
    """Return a sentence for each class and function that is defined several times."""
    cells: dict[str, list[int]] = {}
    for step in wanted:
        if isinstance(step.node, ast.ClassDef | ast.FunctionDef):
            cells.setdefault(step.node.name, []).append(step.cell)
    return [
        f"{name} is defined {len(numbers)} times; taking the last one, in code cell {numbers[-1]}"
        for name, numbers in cells.items()
        if len(numbers) > 1
    ]
