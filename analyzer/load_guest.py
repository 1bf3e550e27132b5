"""Running somebody's file as a guest: what its import changes in this process is put back after it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

from cifar_report.analyzer.load_overlay import source_of

GUEST_NAME = "cifar_report_guest"
"""The file's `__name__` while it is loaded, so that its `__main__` part doesn't run."""


@dataclass(slots=True)
class Home:
    """What a guest's code takes for granted: its folder can be imported from, and its modules are known."""

    folder: Path
    modules: dict[str, ModuleType] = field(default_factory=dict)
    """Those that came from the folder, by the name that they are imported by."""
    added: list[str] = field(default_factory=list)
    """What the guest itself put on `sys.path`."""

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Put the guest's modules and paths in place, and take them away again, with those that came."""
        path, bytecode, before = list(sys.path), sys.dont_write_bytecode, dict(sys.modules)
        sys.path[:] = [str(self.folder), *path, *self.added]
        sys.dont_write_bytecode = True
        sys.modules.update(self.modules)
        importlib.invalidate_caches()
        try:
            yield
        finally:
            self.added = [place for place in sys.path if place not in {*path, str(self.folder)}]
            folders = [Path(place) for place in (str(self.folder), *self.added) if place not in path]
            self.modules.update(
                {
                    name: module
                    for name, module in sys.modules.items()
                    if name in self.modules
                    or (module is not before.get(name) and (name == GUEST_NAME or _lies_in(folders, name)))
                }
            )
            sys.path[:], sys.dont_write_bytecode = path, bytecode
            for name in self.modules:
                sys.modules.pop(name, None)
                if name in before:
                    sys.modules[name] = before[name]


@contextmanager
def guest(folder: Path, program: str) -> Iterator[Home]:
    """Make a folder importable; what runs inside prints to standard error and sees an empty command line.

    Put back afterwards: `sys.path`, `sys.argv`, and the modules that came from the folder, so that the next
    network finds its own `blocks.py`, not this one's. The network itself finds them in its `Home`, for a
    forward that imports, and for whatever looks a class up by its module's name. No bytecode is written
    beside the user's files.

    Args:
        folder: the file's folder.
        program: what `sys.argv[0]` says.
    """
    home, argv = Home(folder), sys.argv
    sys.argv = [program]
    try:
        with home.entered(), redirect_stdout(sys.stderr):
            yield home
    finally:
        sys.argv = argv


def run_file(path: Path) -> ModuleType:
    """Run a file as a module. Whatever it raises comes through, `SystemExit` too."""
    code = compile(source_of(path), str(path), "exec", dont_inherit=True)
    module = new_module(path)
    exec(code, module.__dict__)  # running the user's file is what was asked for
    return module


def new_module(path: Path) -> ModuleType:
    """Return an empty module for a file, known under the guest's name."""
    module = ModuleType(GUEST_NAME)
    module.__file__, module.__package__ = str(path), ""
    sys.modules[GUEST_NAME] = module
    return module


def _lies_in(folders: Sequence[Path], name: str) -> bool:
    """Tell whether a module belongs to a file or package directly in one of the folders."""
    top = name.partition(".")[0]
    module = sys.modules.get(top)
    file = getattr(module, "__file__", None)
    places = {str(Path(file).parent)} if file else set(getattr(module, "__path__", ()))
    own = [folder for folder in folders if folder.name not in ("site-packages", "dist-packages")]
    return any(not places.isdisjoint((str(folder), str(folder / top))) for folder in own)
