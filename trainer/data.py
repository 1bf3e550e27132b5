"""From what `--data` says to images in memory."""

from __future__ import annotations

from pathlib import Path

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.batches import find_batches, load_batches
from cifar_report.trainer.digits import load_digits
from cifar_report.trainer.fetch import fetch_cifar10
from cifar_report.trainer.folder import load_folder
from cifar_report.trainer.images import ImageData, check
from cifar_report.trainer.listen import Listener

DEFAULT_ROOT = Path("data")
"""Where downloads lie, below the current folder."""


def load_data(source: str, listener: Listener, root: Path = DEFAULT_ROOT) -> ImageData:
    """Load `cifar10`, `digits`, a folder with train/ and test/, or the original batch folder.

    Both splits are checked: every class has images, and no image is in both.

    Raises:
        UsageError: the data is missing, damaged, or fails a check.
    """
    if source == "digits":
        return check(load_digits())
    if source == "cifar10":
        return check(load_batches(fetch_cifar10(root, listener), listener))
    return check(_load_path(Path(source), listener))


def _load_path(folder: Path, listener: Listener) -> ImageData:
    if not folder.is_dir():
        raise UsageError(
            f"there is no data folder {folder}",
            expected="cifar10, digits, or a folder with images",
            found="a file" if folder.exists() else "nothing",
        )
    try:
        if all((folder / split).is_dir() for split in ("train", "test")):
            return load_folder(folder, listener)
        if batches := find_batches(folder):
            return load_batches(batches, listener)
    except OSError as error:
        raise UsageError(f"{folder} can't be read", found=str(error)) from error
    raise UsageError(
        f"{folder} holds no data set",
        expected="train/CLASS/ and test/CLASS/ with PNG or JPEG files, or CIFAR-10's data_batch_1 to 5",
        found=_content(folder),
    )


def _content(folder: Path) -> str:
    names = sorted(f"{entry.name}/" if entry.is_dir() else entry.name for entry in folder.iterdir())
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "") or "nothing"
