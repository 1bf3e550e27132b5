"""CIFAR-10's original batch folder: six pickles and `batches.meta`.

A pickle can run any code when it is read. These hold dictionaries of numbers only, so the reader
knows how to build numpy arrays and nothing else. Checksums of a re-packed copy differ from the
original's, so the content is checked instead: keys, shapes, counts, label range.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.images import SIDE, ImageData, Labels, Pixels, Split
from cifar_report.trainer.listen import Listener

TRAIN_FILES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST_FILE = "test_batch"
META_FILE = "batches.meta"

_ARRAY_PARTS = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
    *(
        (f"numpy.{core}.{name}", function)
        for core in ("core", "_core")
        for name, function in (
            ("multiarray", "_reconstruct"),
            ("multiarray", "scalar"),
            ("numeric", "_frombuffer"),
        )
    ),
}
"""What numpy arrays and numbers are pickled as, old names and new ones."""


class _ArrayUnpickler(pickle.Unpickler):
    """Reads numbers, bytes, strings, lists, dictionaries and numpy arrays; refuses all else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ARRAY_PARTS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no batch of numbers needs")
        return super().find_class(module, name)


def find_batches(folder: Path) -> Path | None:
    """Return the folder that holds the batches: this one, a folder in it, or None."""
    inside = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    for candidate in (folder, *inside):
        if any((candidate / name).exists() for name in (META_FILE, TEST_FILE, *TRAIN_FILES)):
            return candidate
    return None


def load_batches(folder: Path, listener: Listener) -> ImageData:
    """Read the original batch folder.

    Raises:
        UsageError: a file is missing, cut short, holds something else than numbers, or its shapes,
            counts or labels aren't CIFAR-10's.
    """
    missing = [name for name in (META_FILE, *TRAIN_FILES, TEST_FILE) if not (folder / name).is_file()]
    if missing:
        raise UsageError(
            f"{folder} is not a complete CIFAR-10 batch folder",
            expected=f"{META_FILE}, data_batch_1 to data_batch_5 and {TEST_FILE}",
            found=f"no {', '.join(missing)}",
        )
    classes, count = _read_meta(folder / META_FILE)
    batches = []
    for number, name in enumerate((*TRAIN_FILES, TEST_FILE), start=1):
        batches.append(_read_batch(folder / name, count, len(classes)))
        listener.work("reading batches", number, len(TRAIN_FILES) + 1)
    names = [f"{name}[{index}]" for name in (*TRAIN_FILES, TEST_FILE) for index in range(count)]
    images, labels = zip(*batches, strict=True)
    train = count * len(TRAIN_FILES)
    return ImageData(
        name="cifar10",
        classes=classes,
        train=Split(np.concatenate(images[:-1]), np.concatenate(labels[:-1]), tuple(names[:train])),
        test=Split(images[-1], labels[-1], tuple(names[train:])),
    )


def _read_meta(path: Path) -> tuple[tuple[str, ...], int]:
    """Return the class names and how many images each batch holds."""
    meta = _unpickle(path)
    names, count = _get(meta, "label_names"), _get(meta, "num_cases_per_batch")
    if not isinstance(names, list) or not names or not isinstance(count, int) or count < 1:
        raise UsageError(
            f"{path} does not describe batches",
            expected="label_names (a list) and num_cases_per_batch (a number)",
            found=f"{names!r} and {count!r}",
        )
    return tuple(name.decode() if isinstance(name, bytes) else str(name) for name in names), count


def _read_batch(path: Path, count: int, classes: int) -> tuple[Pixels, Labels]:
    """Return images (N, 32, 32, 3) and labels (N,) of one batch file."""
    batch = _unpickle(path)
    data, labels = _get(batch, "data"), _get(batch, "labels")
    shape = (count, 3 * SIDE * SIDE)
    if not isinstance(data, np.ndarray) or data.shape != shape or data.dtype != np.uint8:
        found = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise UsageError(f"{path} has other images than CIFAR-10's", expected=f"uint8 {shape}", found=found)
    if not isinstance(labels, list) or len(labels) != count:
        found = f"{len(labels)}" if isinstance(labels, list) else type(labels).__name__
        raise UsageError(f"{path} has too many or too few labels", expected=f"{count} numbers", found=found)
    wrong = sorted({str(label) for label in labels if not isinstance(label, int) or not 0 <= label < classes})
    if wrong:
        raise UsageError(
            f"{path} has labels outside of the classes",
            expected=f"0 to {classes - 1}",
            found=", ".join(wrong[:5]),
        )
    pixels = data.reshape(count, 3, SIDE, SIDE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels), np.array(labels, dtype=np.int64)


def _unpickle(path: Path) -> dict[Any, Any]:
    try:
        with path.open("rb") as file:
            content = _ArrayUnpickler(file, encoding="bytes").load()
    # A damaged pickle can fail in any way: EOFError, UnpicklingError, ValueError, KeyError, MemoryError ...
    except Exception as error:
        raise UsageError(
            f"{path} is cut short or not a CIFAR-10 file",
            found=f"{path.stat().st_size:,} bytes; {str(error) or type(error).__name__}",
            hint="copy or download it again",
        ) from error
    if not isinstance(content, dict):
        raise UsageError(f"{path} is not a CIFAR-10 file", expected="a dict", found=type(content).__name__)
    return content


def _get(content: dict[Any, Any], key: str) -> Any:
    """Return a value by its name; the original files' names are bytes, re-packed ones' may be text."""
    return content.get(key.encode(), content.get(key))
