"""MNIST's four files, and those of the data sets that come in the same form, plain or gzipped.

A file is a magic number (2051 for images, 2049 for labels), sizes as big-endian 32-bit numbers, and bytes.
Source: Y. LeCun, C. Cortes and C. Burges, "The MNIST database of handwritten digits", 1998.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.images import ImageData, Split

FILES = tuple(
    f"{split}-{what}-ubyte" for split in ("train", "t10k") for what in ("images-idx3", "labels-idx1")
)
_MAGIC = {3: 2051, 1: 2049}


def find_idx(folder: Path) -> Path | None:
    """Return the folder that holds such files: this one, `raw` or `MNIST/raw` in it, or None."""
    for candidate in (folder, folder / "raw", folder / "MNIST" / "raw"):
        if any(_existing(candidate / name) for name in FILES):
            return candidate
    return None


def load_idx(folder: Path, name: str) -> ImageData:
    """Read the four files; images stay grey and of the size that they have.

    Raises:
        UsageError: a file is missing, cut short or holds something else, or counts differ.
    """
    missing = [file for file in FILES if not _existing(folder / file)]
    if missing:
        raise UsageError(
            f"{folder} is not a complete folder of MNIST files",
            expected=", ".join(FILES) + ", each perhaps with .gz",
            found=f"no {', '.join(missing)}",
        )
    train, test = (_split(folder, stem) for stem in ("train", "t10k"))
    classes = int(max(train.labels.max(initial=0), test.labels.max(initial=0))) + 1
    return ImageData(name, tuple(map(str, range(classes))), train, test, mirrored_is_same=False)


def _existing(path: Path) -> Path | None:
    return next((file for file in (path, path.with_name(f"{path.name}.gz")) if file.is_file()), None)


def _split(folder: Path, stem: str) -> Split:
    images = _read(folder / f"{stem}-images-idx3-ubyte", 3)
    labels = _read(folder / f"{stem}-labels-idx1-ubyte", 1)
    if len(images) != len(labels):
        raise UsageError(
            f"{folder}: {stem} has other counts of images and labels",
            expected=f"{len(images):,} labels",
            found=f"{len(labels):,}",
        )
    return Split(images[..., None], labels.astype(np.int64))


def _read(path: Path, axes: int) -> NDArray[np.uint8]:
    file = _existing(path)
    if file is None:
        raise FileNotFoundError(path)
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(
            f"{file} can't be read", found=str(error), hint="copy or download it again"
        ) from error
    head = 4 * (axes + 1)
    if len(content) < head or struct.unpack_from(">i", content)[0] != _MAGIC[axes]:
        raise UsageError(
            f"{file} is not such a file", expected=f"the magic number {_MAGIC[axes]}", found=repr(content[:4])
        )
    sizes = struct.unpack_from(f">{axes}i", content, 4)
    if min(sizes) < 0 or len(content) - head != int(np.prod(sizes, dtype=np.int64)):
        raise UsageError(
            f"{file} is cut short or too long",
            expected=f"{' x '.join(map(str, sizes))} bytes after the first {head}",
            found=f"{len(content) - head:,}",
            hint="copy or download it again",
        )
    # bytes can't be written to, which torch warns of; a bytearray's copy can.
    return np.frombuffer(bytearray(content), dtype=np.uint8, offset=head).reshape(sizes)
