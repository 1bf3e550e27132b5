"""Pictures of images: samples of the data set, augmentation before and after, mistakes.

Pixels are drawn as they are, without smoothing.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from cifar_report.reporter import theme as themes
from cifar_report.reporter.field_pictures_image import colours
from cifar_report.reporter.results import Mistake
from cifar_report.reporter.theme import WIDTH, Theme
from cifar_report.reporter.wording import listing, one_line, percent, plural

Images = NDArray[np.uint8]

CLASSES_SHOWN = 20
PER_CLASS = 6
PAIRS_SHOWN = 20
PAIRS_IN_ROW = 10
MISTAKES_SHOWN = 20
MISTAKES_IN_ROW = 5
MARGIN = 0.15
"""Around every picture [inch]."""


def draw_samples(images: Images, labels: NDArray[np.int64], classes: Sequence[str], theme: Theme) -> Figure:
    """Draw up to six training images of each class beside its name, in two columns of classes."""
    shown = themes.drawable(classes, 12)[:CLASSES_SHOWN]
    columns = 1 if len(shown) <= 4 else 2
    rows = -(-len(shown) // columns)
    block, size, step = 4.45, 0.52, 0.55
    made = themes.figure(2 * MARGIN + rows * step, theme)
    axes = themes.sheet(made)
    for index, name in enumerate(shown):
        column, row = divmod(index, rows)
        x, y = MARGIN + column * block, MARGIN + row * step
        axes.text(x, y + size / 2, name, va="center", fontsize=10, color=theme.ink)
        for place, image in enumerate(images[labels == index][:PER_CLASS]):
            put(axes, image, x + 0.97 + place * step, y, size)
    return made


def describe_samples(labels: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Say which classes are shown and how many images of each."""
    counts = [min(PER_CLASS, int((labels == index).sum())) for index in range(len(classes))][:CLASSES_SHOWN]
    names = listing([one_line(name) for name in classes[: len(counts)]])
    more = (
        f"; {len(classes) - len(counts):,} more classes are not shown" if len(classes) > len(counts) else ""
    )
    each = str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
    return f"Training images, {each} of each class: {names}{more}."


def draw_augmentation(before: Images, draws: Sequence[Images], theme: Theme) -> Figure:
    """Draw training images above what the augmentation made of them, once or several times."""
    pairs = min(PAIRS_SHOWN, len(before))
    bands = -(-pairs // PAIRS_IN_ROW)
    size, step, gap = 0.76, 0.79, 0.18
    high = (1 + len(draws)) * step + gap
    made = themes.figure(2 * MARGIN + bands * high - gap, theme)
    axes = themes.sheet(made)
    for index in range(pairs):
        band, place = divmod(index, PAIRS_IN_ROW)
        y = MARGIN + band * high
        x = MARGIN + 0.72 + place * step
        if place == 0:
            axes.text(MARGIN, y + size / 2, "before", va="center", fontsize=10, color=theme.muted)
            axes.text(MARGIN, y + step + size / 2, "after", va="center", fontsize=10, color=theme.ink)
        for row, images in enumerate((before, *draws)):
            put(axes, images[index], x, y + row * step, size)
    return made


def augmentation_png(before: Images, draws: Sequence[Images]) -> bytes:
    """Return the picture of `draw_augmentation` as the content of a file."""
    content = io.BytesIO()
    with themes.drawing():
        themes.pixels(draw_augmentation(before, draws, themes.LIGHT)).save(content, "PNG")
    return content.getvalue()


def describe_augmentation(before: Images, transforms: Sequence[str], draws: int = 1) -> str:
    """Say how many images are shown and what was applied."""
    shown = plural(min(PAIRS_SHOWN, len(before)), "training image")
    names = listing([one_line(name) for name in transforms])
    if draws == 1:
        below = f"in pairs: above as it is in the data set, below after one random draw of {names}"
    else:
        below = f"in columns: on top as it is in the data set, below after {draws} random draws of {names}"
    return f"{shown} {below}."


def draw_mistakes(images: Images, mistakes: Sequence[Mistake], theme: Theme) -> Figure:
    """Draw misclassified test images with truth, guess and confidence in words."""
    shown = list(zip(images, mistakes, strict=True))[:MISTAKES_SHOWN]
    rows = -(-len(shown) // MISTAKES_IN_ROW)
    across, down, size = (WIDTH - 2 * MARGIN) / MISTAKES_IN_ROW, 1.64, 1.1
    made = themes.figure(2 * MARGIN + rows * down, theme)
    axes = themes.sheet(made)
    truths = themes.drawable([mistake.truth for _, mistake in shown], 12)
    guesses = themes.drawable([mistake.guess for _, mistake in shown], 12)
    for index, (image, mistake) in enumerate(shown):
        row, place = divmod(index, MISTAKES_IN_ROW)
        x, y = MARGIN + place * across, MARGIN + row * down
        put(axes, image, x, y, size)
        axes.text(x, y + size + 0.17, f"is {truths[index]}", va="center", fontsize=9, color=theme.ink)
        guess = f"taken for {guesses[index]}"
        axes.text(x, y + size + 0.34, guess, va="center", fontsize=9, color=theme.second)
        sure = f"{percent(mistake.confidence, 1)}\nsure"
        axes.text(x + size + 0.07, y + size, sure, va="bottom", fontsize=8, color=theme.muted)
    return made


def describe_mistakes(mistakes: Sequence[Mistake]) -> str:
    """Say truth, guess and confidence of every image shown."""
    parts = [
        f"{mistake.truth} taken for {mistake.guess} ({percent(mistake.confidence, 1)})"
        for mistake in mistakes[:MISTAKES_SHOWN]
    ]
    return f"{plural(len(parts), 'misclassified test image')}: {listing(parts)}."


def put(axes: Axes, image: Images, x: float, y: float, size: float) -> None:
    """Put an image (H, W, C) into a square of `size` with its top left corner at x, y."""
    height, width = image.shape[:2]
    longest = max(height, width)
    wide, high = size * width / longest, size * height / longest
    # Not imshow, which would move the axes' limits to each picture.
    axes.add_image(_picture(axes, image, (x, x + wide, y + high, y)))


def _picture(axes: Axes, image: Images, extent: tuple[float, float, float, float]) -> AxesImage:
    picture = AxesImage(axes, extent=extent, interpolation="none", origin="upper")
    picture.set_data(colours(image))
    return picture
