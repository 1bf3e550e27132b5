"""Running somebody's file as a guest: what its import changes in this process is put back after it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType

GUEST_NAME = "cifar_report_guest"
"""The file's `__name__` while it is loaded, so that its `__main__` part doesn't run."""


@contextmanager
def guest(folder: Path, program: str) -> Iterator[None]:
    """Make a folder importable; what runs inside prints to standard error and sees an empty command line.

    Put back afterwards: `sys.path`, `sys.argv`, and the modules that came from the folder, so that the next
    network finds its own `blocks.py`, not this one's. No bytecode is written beside the user's files.

    Args:
        folder: the file's folder.
        program: what `sys.argv[0]` says.
    """
    path, argv, bytecode = list(sys.path), sys.argv, sys.dont_write_bytecode
    present, borrowed = set(sys.modules), str(folder) not in path
    sys.path.insert(0, str(folder))
    sys.argv, sys.dont_write_bytecode = [program], True
    importlib.invalidate_caches()
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path[:], sys.argv, sys.dont_write_bytecode = path, argv, bytecode
        sys.modules.pop(GUEST_NAME, None)
        if borrowed:
            for name in [name for name in sys.modules if name not in present and _lies_in(folder, name)]:
                del sys.modules[name]


def run_file(path: Path) -> ModuleType:
    """Run a file as a module. Whatever it raises comes through, `SystemExit` too."""
    code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
    module = ModuleType(GUEST_NAME)
    module.__file__, module.__package__ = str(path), ""
    sys.modules[GUEST_NAME] = module
    exec(code, module.__dict__)  # running the user's file is what was asked for
    return module


def _lies_in(folder: Path, name: str) -> bool:
    """Tell whether a module belongs to a file or package directly in the folder."""
    top = name.partition(".")[0]
    module = sys.modules.get(top)
    file = getattr(module, "__file__", None)
    places = [str(Path(file).parent)] if file else list(getattr(module, "__path__", ()))
    return any(place in (str(folder), str(folder / top)) for place in places)
