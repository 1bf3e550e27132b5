"""Any `torch.utils.data.Dataset`: asked for each image once, kept as bytes."""

from __future__ import annotations

import runpy
import sys
from collections import Counter
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cifar_report.analyzer.errors import Problem, UsageError
from cifar_report.trainer.images import SIDE, ImageData, Pixels, Split
from cifar_report.trainer.listen import Listener

_DEFAULT_NAME = "make_datasets"


def load_python(source: str, listener: Listener) -> ImageData:
    """Call the function in `FILE.py` or `FILE.py:FUNCTION` and read the data sets that it returns.

    It returns two data sets, (train, test), or a mapping with these names.

    Raises:
        UsageError: there is no such file or function, it fails, or its data sets can't be read.
    """
    path, _, name = source.partition(":")
    file, name = Path(path), name or _DEFAULT_NAME
    if not file.is_file():
        raise UsageError(f"there is no file {path}", expected=f"a Python file with {name}()")
    sys.path.insert(0, str(file.parent.absolute()))
    try:
        content = runpy.run_path(str(file))
        if not callable(content.get(name)):
            raise UsageError(
                f"{path} has no function {name}",
                expected=f"def {name}(): return train, test",
                hint=f"name another: {path}:FUNCTION",
            )
        made = content[name]()
        if isinstance(made, Mapping) and {"train", "test"} <= made.keys():
            made = made["train"], made["test"]
        if not isinstance(made, tuple | list) or len(made) != 2:
            raise UsageError(
                f"{name} in {path} returns no two data sets",
                expected="(train, test), or a mapping with these names",
                found=type(made).__name__,
            )
        train, test = made
        return from_datasets(file.stem, train, test, listener)
    except Problem:
        raise
    # The file is the user's code and may raise anything.
    except Exception as error:
        raise UsageError(f"{source} fails", found=f"{type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(file.parent.absolute()))


def from_datasets(name: str, train: Any, test: Any, listener: Listener) -> ImageData:
    """Read two data sets, each image once.

    Args:
        name: what to call the data.
        train: a map-style or iterable data set of (image, label). An image is a picture of Pillow, an array
            (H, W) or (H, W, C) of bytes, or a tensor (C, H, W) of bytes or of floats in 0..1.
        test: another.
        listener: hears how far it is, and of images that are resized.

    Raises:
        UsageError: an item is something else, or the classes of both differ.
    """
    names, test_names = (getattr(data, "classes", None) for data in (train, test))
    if names is not None and test_names is not None and list(names) != list(test_names):
        raise UsageError(
            f"{name}: train and test have other classes",
            expected=", ".join(map(str, names)),
            found=", ".join(map(str, test_names)),
        )
    splits = [_read(which, data, listener) for which, data in (("train", train), ("test", test))]
    shapes = Counter(image.shape for images, _ in splits for image in images)
    note = ""
    if len(shapes) > 1:
        note = f"images of {len(shapes)} shapes, resized to {SIDE}x{SIDE} RGB"
        listener.note(f"{name}: {note}")
    made = [
        Split(np.stack([_resized(image) for image in images] if note else images), np.array(labels, np.int64))
        for images, labels in splits
    ]
    highest = max(int(split.labels.max()) for split in made)
    classes = names or [str(label) for label in range(highest + 1)]
    return ImageData(name, tuple(map(str, classes)), made[0], made[1], note)


def _read(which: str, data: Any, listener: Listener) -> tuple[list[Pixels], list[int]]:
    total = len(data) if isinstance(data, Sized) else 0
    items = (data[index] for index in range(total)) if hasattr(data, "__getitem__") and total else iter(data)
    images: list[Pixels] = []
    labels: list[int] = []
    for index, item in enumerate(items):
        where = f"{which} item {index}"
        if not isinstance(item, tuple | list) or len(item) < 2:
            raise UsageError(f"{where} is no pair", expected="(image, label)", found=type(item).__name__)
        images.append(_bytes(item[0], where))
        labels.append(_label(item[1], where))
        if len(images) % 1000 == 0 or len(images) == total:
            listener.work(f"reading {which} images", len(images), max(total, len(images)))
    if not images or (total and len(images) != total):
        raise UsageError(
            f"the {which} data set ended early", expected=f"{total:,} items", found=f"{len(images):,}"
        )
    return images, labels


def _label(label: Any, where: str) -> int:
    value = label.item() if hasattr(label, "item") and getattr(label, "ndim", 0) == 0 else label
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise UsageError(f"{where} has no class", expected="a number from 0", found=repr(label))
    return value


def _bytes(image: Any, where: str) -> Pixels:
    """Return an image as (H, W, C) bytes, C = 1 or 3."""
    if isinstance(image, torch.Tensor):
        image = image.detach().cpu()
        array = image.permute(1, 2, 0).numpy() if image.ndim == 3 else image.numpy()
    else:
        grey = getattr(image, "mode", "") in ("L", "1")
        array = np.asarray(image.convert("L" if grey else "RGB") if hasattr(image, "convert") else image)
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3):
        raise UsageError(
            f"{where} is no image",
            expected="one or three channels",
            found=f"{type(image).__name__} {array.shape}",
        )
    if array.dtype == np.uint8:
        return np.asarray(array, dtype=np.uint8)
    if not np.issubdtype(array.dtype, np.floating) or not np.isfinite(array).all():
        raise UsageError(f"{where} is no image", expected="bytes, or floats in 0..1", found=str(array.dtype))
    if array.min() < 0 or array.max() > 1:
        raise UsageError(
            f"{where} is not in 0..1",
            expected="images before they are normalised and augmented: both is done here",
            found=f"{array.min():.3g} to {array.max():.3g}",
        )
    levels: Pixels = np.rint(array * 255).astype(np.uint8)
    return levels


def _resized(image: Pixels) -> Pixels:
    from PIL import Image

    picture = Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).convert("RGB")
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR))
