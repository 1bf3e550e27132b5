"""From what `--data` says to images in memory."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.batches import find_batches, load_batches
from cifar_report.trainer.cache import cached, remembered
from cifar_report.trainer.data_python import load_python
from cifar_report.trainer.digits import load_digits
from cifar_report.trainer.fetch import fetch_cifar10, fetch_mnist
from cifar_report.trainer.folder import load_folder
from cifar_report.trainer.guard import NEAR, Pair, check, near_duplicates, near_note
from cifar_report.trainer.images import ImageData
from cifar_report.trainer.listen import Listener
from cifar_report.trainer.mnist import find_idx, load_idx

DEFAULT_ROOT = Path("data")
"""Where downloads lie, below the current folder."""

NAMED = ("cifar10", "mnist", "digits")
"""What `--data` calls by name."""


def load_data(source: str, listener: Listener, root: Path = DEFAULT_ROOT) -> ImageData:
    """Load one of `NAMED`, a folder, or the data sets that a Python file's function returns.

    A folder has train/ and test/, or CIFAR-10's original batches, or MNIST's four files; it is decoded once
    and cached. Both splits are checked: counts, classes, labels, and no image is in both. Test images that
    nearly are training images are named to the listener.

    Raises:
        UsageError: the data is missing, damaged, or fails a check.
    """
    data = check(_load(source, listener, root), original=source in ("cifar10", "mnist"))
    rows = remembered(f"near-{NEAR:g}", data, lambda: [asdict(pair) for pair in near_duplicates(data)])
    if note := near_note(data, tuple(Pair(**row) for row in rows)):
        listener.note(note)
    return data


def _load(source: str, listener: Listener, root: Path) -> ImageData:
    if source == "digits":
        return load_digits()
    if source == "mnist":
        return load_idx(fetch_mnist(root, listener), source)
    if source == "cifar10":
        return _batches(fetch_cifar10(root, listener), listener)
    if source.partition(":")[0].endswith(".py"):
        return load_python(source, listener)
    return _load_path(Path(source), listener)


def _batches(folder: Path, listener: Listener) -> ImageData:
    return cached("batches", folder, listener, lambda: load_batches(folder, listener))


def _load_path(folder: Path, listener: Listener) -> ImageData:
    if not folder.is_dir():
        raise UsageError(
            f"there is no data folder {folder}",
            expected=f"{', '.join(NAMED)}, a folder with images, or FILE.py:FUNCTION",
            found="a file" if folder.exists() else "nothing",
        )
    try:
        if all((folder / split).is_dir() for split in ("train", "test")):
            return cached("folder", folder, listener, lambda: load_folder(folder, listener))
        if batches := find_batches(folder):
            return _batches(batches, listener)
        if idx := find_idx(folder):
            named = idx.absolute().parent if idx.name == "raw" else idx.absolute()
            return load_idx(idx, named.name.lower())
    except OSError as error:
        raise UsageError(f"{folder} can't be read", found=str(error)) from error
    raise UsageError(
        f"{folder} holds no data set",
        expected="train/CLASS/ and test/CLASS/ with PNG or JPEG files, CIFAR-10's data_batch_1 to 5, or "
        "MNIST's train-images-idx3-ubyte and so on",
        found=_content(folder),
    )


def _content(folder: Path) -> str:
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in folder.iterdir())
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or "nothing"
