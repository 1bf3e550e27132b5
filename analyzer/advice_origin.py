"""Where in the user's files each layer was constructed: recorded while the network is built once more.

Since Python 3.11 a frame knows the columns of the call that it is in, so a layer has a chain of calls:
`nn.Conv2d(...)` in a helper, the helper's call in a constructor, and so on. No name is guessed.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from torch import nn

_OURS = str(Path(__file__).parent)


@dataclass(frozen=True, slots=True)
class Site:
    """A call in a file: lines count from 1, columns from 0 and in bytes, as in `ast`."""

    file: str
    line: int
    end_line: int
    column: int
    end_column: int


Chain = tuple[Site, ...]
"""The calls that made a layer, from its constructor's outwards."""


class Origins:
    """Chains of calls by module."""

    def __init__(self) -> None:
        self._chains: dict[int, Chain] = {}
        self._alive: list[nn.Module] = []  # an id is good for as long as its module lives

    def note(self, module: nn.Module, frame: FrameType | None) -> None:
        """Note a module that is being constructed."""
        while frame is not None and _constructs(frame, module):
            frame = frame.f_back
        sites = []
        while frame is not None and not frame.f_code.co_filename.startswith(_OURS):
            site = _site(frame.f_code, frame.f_lasti)
            if site:
                sites.append(site)
            frame = frame.f_back
        self._chains[id(module)] = tuple(sites)
        self._alive.append(module)

    def chains(self, network: nn.Module, folder: Path) -> dict[str, Chain]:
        """Return the chains of a network's modules by path, as far as they run through a folder's files."""
        found = {}
        for path, module in network.named_modules():
            chain = self._chains.get(id(module), ())
            found[path] = tuple([site for site in chain if _is_own(Path(site.file), folder)])
        return found


@contextmanager
def recorded() -> Iterator[Origins]:
    """Note where modules are constructed, on this thread, while it is entered."""
    origins = Origins()
    base: Any = nn.Module
    original = base.__init__

    def construct(module: nn.Module, *args: Any, **kwargs: Any) -> None:
        origins.note(module, sys._getframe(1))
        original(module, *args, **kwargs)

    base.__init__ = construct
    try:
        yield origins
    finally:
        base.__init__ = original


def _is_own(file: Path, folder: Path) -> bool:
    return file.is_relative_to(folder) and "site-packages" not in file.relative_to(folder).parts


def _constructs(frame: FrameType, module: nn.Module) -> bool:
    """Return whether a frame is one of a module's own constructors."""
    code = frame.f_code
    return bool(code.co_argcount) and frame.f_locals.get(code.co_varnames[0]) is module


def _site(code: CodeType, instruction: int) -> Site | None:
    if code.co_filename.startswith("<"):
        return None
    position = next(islice(code.co_positions(), instruction // 2, None), None)
    if position is None:
        return None
    line, end_line, column, end_column = position
    if line is None or end_line is None or column is None or end_column is None:
        return None
    return Site(code.co_filename, line, end_line, column, end_column)
