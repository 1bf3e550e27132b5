"""Decoded data sets, kept as bytes and mapped into memory instead of read.

An entry is a folder whose name is a hash of its source's files, of their names, sizes and times, so a changed
source has another entry. It appears in one step; of two processes that make it, one does. What it holds is
checked by its hashes each time, and damaged ones are made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from cifar_report.trainer.atomic import write_text
from cifar_report.trainer.images import ImageData, Split
from cifar_report.trainer.listen import Listener

_VERSION = 1
"""Of what decoding does; another one has other entries."""

_ARRAYS = ("train.images", "train.labels", "test.images", "test.labels")


def cache_root() -> Path:
    """Return where entries lie: CIFAR_REPORT_CACHE, or cifar-report in XDG_CACHE_HOME or in ~/.cache."""
    if own := os.environ.get("CIFAR_REPORT_CACHE"):
        return Path(own)
    xdg = os.environ.get("XDG_CACHE_HOME", "")
    # The specification says to ignore a relative one.
    return (Path(xdg) if Path(xdg).is_absolute() else Path.home() / ".cache") / "cifar-report"


def cached(kind: str, source: Path, listener: Listener, decode: Callable[[], ImageData]) -> ImageData:
    """Return a source's images from the cache, or decode them and keep them there.

    Args:
        kind: what reads the source, such as `folder`.
        source: a folder or a file.
        listener: hears of a damaged entry, and of a cache that can't be written.
        decode: reads the source.
    """
    entry = cache_root() / "data" / _key(kind, source)
    if entry.is_dir():
        try:
            data = _open(entry)
        # A damaged entry fails in whatever way its first wrong byte leads to.
        except Exception as error:
            listener.note(f"the cache {entry} is damaged, decoding again: {error}")
            shutil.rmtree(entry, ignore_errors=True)
        else:
            if data.note:
                listener.note(data.note)
            return data
    data = decode()
    try:
        _keep(entry, data)
        return _open(entry)
    except OSError as error:
        listener.note(f"the decoded images can't be kept in {entry.parent}: {error}")
        return data


def remembered(what: str, data: ImageData, compute: Callable[[], list[Any]]) -> list[Any]:
    """Return what was once computed from exactly these images, or compute it and remember it.

    Args:
        what: names the computation and its version.
        data: the images.
        compute: returns what JSON can hold.
    """
    digest = hashlib.sha256("".join(map(_hash, _arrays(data))).encode()).hexdigest()[:32]
    path = cache_root() / what / f"{digest}.json"
    with suppress(OSError, ValueError):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, list):
            return found
    found = compute()
    # A cache that can't be written costs time and nothing else.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(found))
    return found


def _key(kind: str, source: Path) -> str:
    """Return a hash of what a source's files are called, how long they are, and when they changed."""
    digest = hashlib.sha256(f"{_VERSION}\n{kind}\n{source.absolute()}\n".encode())
    for path, status in sorted(_files(source)):
        digest.update(f"{path}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}\n".encode())
    return digest.hexdigest()[:32]


def _files(source: Path) -> Iterable[tuple[str, os.stat_result]]:
    """Yield a folder, those in it, links followed, and all their files; or the file itself."""
    if source.is_file():
        yield str(source), source.stat()
        return
    for folder, _, names in os.walk(source, followlinks=True):
        yield folder, os.stat(folder)  # noqa: PTH116 - a text, like the paths in it
        for name in names:
            path = os.path.join(folder, name)  # noqa: PTH118 - of 60,000 files, Path objects take seconds
            yield path, os.stat(path)  # noqa: PTH116 - as above


def _keep(entry: Path, data: ImageData) -> None:
    """Write an entry beside its place and rename it there, unless another process was faster."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=".partial.", dir=entry.parent))
    try:
        hashes = {}
        for name, array in zip(_ARRAYS, _arrays(data), strict=True):
            np.save(partial / f"{name}.npy", array)
            hashes[name] = _hash(array)
        facts: dict[str, Any] = {
            "name": data.name,
            "classes": data.classes,
            "note": data.note,
            "mirrored_is_same": data.mirrored_is_same,
            "names": [split.names for split in (data.train, data.test)],
            "sha256": hashes,
        }
        (partial / "data.json").write_text(json.dumps(facts), encoding="utf-8")
        with suppress(OSError):
            partial.rename(entry)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _arrays(data: ImageData) -> tuple[Any, ...]:
    return data.train.images, data.train.labels, data.test.images, data.test.labels


def _open(entry: Path) -> ImageData:
    """Return an entry's images, mapped into memory.

    Raises:
        ValueError, OSError, KeyError: it is damaged.
    """
    facts = json.loads((entry / "data.json").read_text(encoding="utf-8"))
    # Copy on write: torch warns of arrays that can't be written to, and nothing may reach the file.
    arrays = {name: np.load(entry / f"{name}.npy", mmap_mode="c") for name in _ARRAYS}
    for name, array in arrays.items():
        if _hash(array) != facts["sha256"][name]:
            raise ValueError(f"{name}.npy holds something else than was written")
    splits = [
        Split(arrays[f"{which}.images"], arrays[f"{which}.labels"], None if names is None else tuple(names))
        for which, names in zip(("train", "test"), facts["names"], strict=True)
    ]
    return ImageData(
        facts["name"], tuple(facts["classes"]), splits[0], splits[1], facts["note"], facts["mirrored_is_same"]
    )


def _hash(array: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
