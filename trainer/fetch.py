"""CIFAR-10 and MNIST from their homes, checked against torchvision's checksums."""

from __future__ import annotations

import hashlib
import http.client
import os
import ssl
import tarfile
import tempfile
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple
from urllib.error import URLError

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.extras import load_extra
from cifar_report.trainer.listen import Listener
from cifar_report.trainer.place import missing_folders, remove_empty

_CHUNK = 1 << 18
_TIMEOUT = 30
"""Of every single read [s]."""


class _DataSet(NamedTuple):
    """What errors say of a data set."""

    title: str
    files: str


_CIFAR10 = _DataSet("CIFAR-10", "batches (data_batch_1 ... test_batch)")
_MNIST = _DataSet("MNIST", "files (train-images-idx3-ubyte ...)")


def fetch_cifar10(root: Path, listener: Listener) -> Path:
    """Return CIFAR-10's batch folder below `root`, downloaded and unpacked if it isn't there yet.

    Raises:
        UsageError: no connection, a damaged archive, or `root` can't be written.
    """
    source = load_extra("torchvision.datasets", "train").CIFAR10
    folder: Path = root / source.base_folder
    if folder.is_dir():
        return folder
    archive = root / source.filename
    made = missing_folders(root)
    try:
        root.mkdir(parents=True, exist_ok=True)
        if not archive.exists():
            _download(_CIFAR10, source.url, archive, listener)
        _check(archive, source.tgz_md5)
        _unpack(archive, source.base_folder)
    except OSError as error:
        raise UsageError(f"CIFAR-10 can't be stored in {root}", found=str(error)) from error
    finally:
        remove_empty(made)
    return folder


def fetch_mnist(root: Path, listener: Listener) -> Path:
    """Return the folder of MNIST's four files below `root`, downloaded if they aren't there yet.

    Raises:
        UsageError: no connection, a damaged file, or `root` can't be written.
    """
    source = load_extra("torchvision.datasets", "train").MNIST
    folder = root / "MNIST" / "raw"
    made = missing_folders(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, checksum in source.resources:
            archive = folder / name
            if archive.with_suffix("").exists():
                continue
            if not archive.exists():
                _from_mirrors(source.mirrors, archive, listener)
            _check(archive, checksum)
    except OSError as error:
        raise UsageError(f"MNIST can't be stored in {root}", found=str(error)) from error
    finally:
        remove_empty(made)
    return folder


def _from_mirrors(mirrors: list[str], archive: Path, listener: Listener) -> None:
    """Download from the first mirror that answers; the last one's error is raised."""
    for mirror in mirrors[:-1]:
        with suppress(UsageError):
            _download(_MNIST, mirror + archive.name, archive, listener)
            return
    _download(_MNIST, mirrors[-1] + archive.name, archive, listener)


def _download(what: _DataSet, url: str, archive: Path, listener: Listener) -> None:
    """Fetch the archive beside its place; it gets its name only once it is complete."""
    handle, name = tempfile.mkstemp(dir=archive.parent, prefix=f".{archive.name}.", suffix=".partial")
    partial = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            _copy(what, url, file, listener)
        partial.replace(archive)
    except (http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError, URLError) as error:
        raise _no_connection(what, url, archive, error) from error
    finally:
        partial.unlink(missing_ok=True)


def _copy(what: _DataSet, url: str, file: BinaryIO, listener: Listener) -> None:
    """Write what the address holds.

    Raises:
        ConnectionError: the answer ended early.
    """
    with urllib.request.urlopen(url, timeout=_TIMEOUT) as answer:
        total = int(answer.headers.get("Content-Length", 0))
        done = 0
        while chunk := answer.read(_CHUNK):
            file.write(chunk)
            done += len(chunk)
            listener.work(f"downloading {what.title} (bytes)", done, max(total, done))
    if done < total:
        raise ConnectionError(f"the answer ended after {done:,} of {total:,} bytes")


def _check(archive: Path, expected: str) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "md5").hexdigest()
    if found != expected:
        raise UsageError(
            f"{archive} is damaged",
            expected=f"MD5 {expected}",
            found=f"MD5 {found}, {archive.stat().st_size:,} bytes",
            hint="remove the file and run the command again, or put a good copy there",
        )


def _unpack(archive: Path, base_folder: str) -> None:
    """Unpack into a temporary folder, then move the batch folder to its place."""
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".unpacking.") as place:
        with tarfile.open(archive) as tar:
            tar.extractall(place, filter="data")
        (Path(place) / base_folder).replace(archive.parent / base_folder)


def _no_connection(what: _DataSet, url: str, archive: Path, error: Exception) -> UsageError:
    reason = getattr(error, "reason", None) or error
    return UsageError(
        f"{what.title} can't be downloaded from {url}",
        found=str(reason),
        hint=(
            "one of these, none of which needs a connection here:\n"
            "            --data FOLDER with train/CLASS/*.png and test/CLASS/*.png\n"
            f"            --data FOLDER with the original {what.files}\n"
            f"            download {archive.name} elsewhere and put it at {archive}"
        ),
    )
