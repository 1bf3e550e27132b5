"""A folder of pictures: `train/CLASS/*.png` and `test/CLASS/*.png`, any size, PNG or JPEG."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.images import SIDE, ImageData, Pixels, Split
from cifar_report.trainer.listen import Listener

SUFFIXES = (".png", ".jpg", ".jpeg")

_WIDE_MODES = ("I", "F", "I;16", "I;16B", "I;16L")
"""Pillow's modes with more than 8 bits a channel, which it would clip to white."""


def load_folder(folder: Path, listener: Listener) -> ImageData:
    """Decode an image folder, every picture once; sorted names of the class folders are the classes.

    Raises:
        UsageError: a split without class folders or pictures, other classes in test/ than in
            train/, a picture that can't be decoded (named), or one with more than 8 bits a channel.
    """
    classes = _classes(folder)
    files = {split: _pictures(folder / split, classes) for split in ("train", "test")}
    reader = _Reader(listener, total=sum(len(paths) for paths in files.values()))
    train, test = (reader.read(files[split]) for split in ("train", "test"))
    note = _resize_note(reader.sizes)
    if note:
        listener.note(note)
    return ImageData(name=folder.absolute().name, classes=classes, train=train, test=test, note=note)


def _classes(folder: Path) -> tuple[str, ...]:
    """Return the class names, which both splits must share."""
    train, test = (_subfolders(folder / split) for split in ("train", "test"))
    for split, names in (("train", train), ("test", test)):
        if not names:
            raise UsageError(
                f"{folder / split} has no class folders",
                expected=f"one folder per class, such as {folder / split / 'cat'}, with PNG or JPEG files",
                found="nothing" if not any((folder / split).iterdir()) else "files only",
            )
    if train != test:
        raise UsageError(
            f"{folder}: train/ and test/ have other class names",
            expected="the same class folders in both",
            found=f"only in train/: {_listed(train, test)}; only in test/: {_listed(test, train)}",
        )
    return tuple(sorted(train))


def _subfolders(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")}


def _listed(these: set[str], but_not: set[str]) -> str:
    return ", ".join(sorted(these - but_not)) or "none"


def _pictures(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    """Return the pictures of a split with their labels, in order of class and name."""
    found = []
    for label, name in enumerate(classes):
        paths = sorted(path for path in (folder / name).iterdir() if path.suffix.lower() in SUFFIXES)
        if not paths:
            raise UsageError(
                f"{folder / name} has no pictures",
                expected=f"files ending in {', '.join(SUFFIXES)}",
                found="nothing" if not any((folder / name).iterdir()) else "other files",
            )
        found += [(path, label) for path in paths]
    return found


class _Reader:
    """Decodes pictures and counts their sizes."""

    def __init__(self, listener: Listener, total: int) -> None:
        self.sizes: Counter[tuple[int, int]] = Counter()
        self._listener = listener
        self._done = 0
        self._total = total

    def read(self, pictures: list[tuple[Path, int]]) -> Split:
        """Return the pictures as one split, resized where they are not 32x32."""
        images = np.empty((len(pictures), SIDE, SIDE, 3), dtype=np.uint8)
        for index, (path, _) in enumerate(pictures):
            images[index] = self._decode(path)
            self._done += 1
            if self._done % 100 == 0 or self._done == self._total:
                self._listener.work("reading images", self._done, self._total)
        labels = np.array([label for _, label in pictures], dtype=np.int64)
        return Split(images, labels, tuple(str(path) for path, _ in pictures))

    def _decode(self, path: Path) -> Pixels:
        from PIL import Image

        try:
            with Image.open(path) as picture:
                mode, size = picture.mode, picture.size
                rgb = picture.convert("RGB")
        # Pillow lets the errors of its decoders through: OSError, SyntaxError, ValueError, struct.error ...
        except Exception as error:
            raise UsageError(
                f"{path} can't be read as an image",
                found=f"{path.stat().st_size} bytes; {str(error).splitlines()[0] if str(error) else error!r}",
                hint="replace the file, or remove it",
            ) from error
        if mode in _WIDE_MODES:
            raise UsageError(
                f"{path} has more than 8 bits a channel", expected="8-bit images", found=f"mode {mode}"
            )
        self.sizes[size] += 1
        if size != (SIDE, SIDE):
            rgb = rgb.resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        return np.asarray(rgb)


def _resize_note(sizes: Counter[tuple[int, int]]) -> str:
    """Return a sentence on the images that were resized, empty where none was."""
    resized = {size: count for size, count in sizes.items() if size != (SIDE, SIDE)}
    if not resized:
        return ""
    (width, height), count = Counter(resized).most_common(1)[0]
    if len(resized) == 1:
        return f"{count:,} images resized from {width}x{height} to {SIDE}x{SIDE}"
    total = sum(resized.values())
    return f"{total:,} images of {len(resized)} sizes (most often {width}x{height}) resized to {SIDE}x{SIDE}"
