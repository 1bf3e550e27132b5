"""Load a file as if it said something else, without writing it: what a proposed change really leads to."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType

_texts: dict[Path, bytes] = {}


@contextmanager
def overlaid(texts: Mapping[Path, bytes]) -> Iterator[None]:
    """Let files read as these texts wherever Python code is loaded from them, while it is entered.

    Args:
        texts: by absolute path without links.
    """
    before = dict(_texts)
    finder = _Finder()
    _texts.update(texts)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _texts.clear()
        _texts.update(before)


def source_of(path: Path) -> bytes:
    """Return the text to run for a file."""
    return _texts.get(path) or path.read_bytes()


class _Finder:
    """Finds what the usual one finds, for the files that say something else."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target)
        if spec is None or not spec.origin or Path(spec.origin).resolve() not in _texts:
            return None
        spec.loader = _Loader(name, spec.origin)
        return spec


class _Loader(SourceFileLoader):
    def get_code(self, fullname: str) -> CodeType:
        path = Path(self.path)
        return compile(source_of(path.resolve()), str(path), "exec", dont_inherit=True)
