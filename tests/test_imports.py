"""Which room may import what, read from the files; and what `check` really loads, read from Python."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cifar_report.cli.main import COMMANDS

ROOT = Path(__file__).parents[1]

ALLOWED = {
    "analyzer": {"torch", "numpy"},
    "models": {"torch", "cifar_report.analyzer.errors"},
    "trainer": {
        "torch",
        "torchvision",
        "albumentations",
        "numpy",
        "safetensors",
        "sklearn",
        "scipy",
        "PIL",
        "cv2",
        "cifar_report.analyzer",
        "cifar_report.models",
    },
    "reporter": {
        "jinja2",
        "markupsafe",
        "matplotlib",
        "PIL",  # matplotlib brings it
        "numpy",
        "cifar_report.analyzer",
        "cifar_report.trainer",
    },
    "templates": set(),
    "cli": {
        "click",
        "rich",
        "torch",
        "cifar_report.analyzer",
        "cifar_report.models",
        "cifar_report.trainer",
        "cifar_report.reporter",
    },
}
"""Besides the standard library and the room itself."""

EXCEPTIONS = {
    # A built-in name is one of the names that a network has.
    "analyzer/load.py": {"cifar_report.models.registry"},
    # These are measurements: the network runs, on the run's or the user's pictures if there are any.
    "reporter/effective_field.py": {"torch"},
    "reporter/grad_cam.py": {"torch"},
    "reporter/measured.py": {"torch"},
    "reporter/field_pictures_files.py": {"torch"},
    "reporter/field_pictures_image.py": {"torch"},
    # Loaded by pytest, and by nothing else.
    "analyzer/pytest_plugin.py": {"pytest"},
    # The second opinion is theirs; imported in functions, for `--second-opinion` alone.
    "analyzer/second_opinion_tools.py": {"fvcore", "torchscan"},
}

HEAVY = {
    "torchvision",
    "albumentations",
    "matplotlib",
    "jinja2",
    "sklearn",
    "cv2",
    "scipy",
    "fvcore",
    "torchscan",
}


def sources(room: str) -> list[Path]:
    return sorted((ROOT / room).rglob("*.py"))


def imports(tree: ast.AST) -> set[str]:
    """Return every imported name, wherever it stands; `from a import b` counts as a.b."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def within(name: str, allowed: set[str]) -> bool:
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in allowed)


def on_import(tree: ast.Module) -> set[str]:
    """Return the names imported as soon as the module is: not in functions, not for type checkers."""
    now: set[str] = set()
    for node in tree.body:
        checking = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        if not checking and not isinstance(node, ast.FunctionDef):
            now |= imports(node)
    return now


def test_the_table_names_the_rooms() -> None:
    assert {path.parent.name for path in ROOT.glob("*/__init__.py")} == set(ALLOWED)


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_it_may(room: str) -> None:
    refused = []
    for path in sources(room):
        here = str(path.relative_to(ROOT))
        allowed = ALLOWED[room] | {f"cifar_report.{room}"} | EXCEPTIONS.get(here, set())
        for name in imports(ast.parse(path.read_text(encoding="utf-8"))):
            if name.partition(".")[0] not in sys.stdlib_module_names and not within(name, allowed):
                refused.append(f"{here}: {name}")
    assert refused == []


def test_the_templates_hold_no_computation() -> None:
    for path in sources("templates"):
        body = ast.parse(path.read_text(encoding="utf-8")).body
        assert all(isinstance(node, ast.Expr) for node in body), path


def test_commands_import_rooms_only_when_they_are_called() -> None:
    """Follow what is imported with the program or a command, from file to file of the command line."""
    light = {"cifar_report.cli", "cifar_report.analyzer.errors", "click"}
    waiting = {"cifar_report.cli.main", *(entry.target.partition(":")[0] for entry in COMMANDS.values())}
    followed: set[str] = set()
    refused = []
    while waiting:
        module = waiting.pop()
        followed.add(module)
        path = ROOT / "cli" / f"{module.split('.')[2]}.py"
        for name in on_import(ast.parse(path.read_text(encoding="utf-8"))):
            if name.startswith("cifar_report.cli."):
                waiting |= {name.rpartition(".")[0]} - followed
            elif name.partition(".")[0] not in sys.stdlib_module_names and not within(name, light):
                refused.append(f"{path.name}: {name}")
    assert refused == []


def test_only_the_command_line_prints() -> None:
    """Standard output belongs to `cli`; other rooms hand text back or write files."""
    refused = []
    for room in set(ALLOWED) - {"cli"}:
        for path in sources(room):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.exit"):
                    refused.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert refused == []


def loaded(*arguments: str) -> tuple[int, set[str]]:
    """Run the program and return its exit code and every top-level module that it imported."""
    command = [sys.executable, "-X", "importtime", "-m", "cifar_report.cli", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    rows = [line for line in run.stderr.splitlines() if line.startswith("import time:")]
    assert len(rows) > 50, run.stderr
    return run.returncode, {row.rpartition("|")[2].strip().partition(".")[0] for row in rows}


def test_check_loads_no_library_that_it_does_not_need() -> None:
    code, modules = loaded("check", "document_003", "--max-params", "100000", "--min-rf", "52")
    assert code == 0
    assert "torch" in modules
    assert modules & HEAVY == set()


def test_analyze_loads_no_library_that_it_does_not_need() -> None:
    code, modules = loaded("analyze", "document_003", "--style", "torchsummary")
    assert code == 0
    assert modules & HEAVY == set()


def test_drawing_a_graph_loads_no_library_that_it_does_not_need() -> None:
    code, modules = loaded("draw", "document_003")
    assert code == 0
    assert modules & HEAVY == set()


def test_help_loads_no_torch() -> None:
    code, modules = loaded("--help")
    assert code == 0
    assert modules & {"torch", "numpy", "rich", *HEAVY} == set()


@pytest.mark.parametrize("command", ["train-and-report", "augment"])
def test_the_help_of_what_augments_loads_no_torch(command: str) -> None:
    code, modules = loaded(command, "--help")
    assert code == 0
    assert modules & {"torch", *HEAVY} == set()
