"""All pictures of a report: which there are, where their files lie, what they show in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_report.reporter import (
    attention,
    attention_picture,
    calibration_chart,
    class_charts,
    curves,
    field_chart,
    field_pictures,
    field_pictures_effective,
    field_pictures_geometry,
    network_graph_svg,
    network_graph_texts,
    photo_grids,
    text_plots,
)
from cifar_report.reporter import theme as themes
from cifar_report.reporter.field_pictures_image import colours, pattern
from cifar_report.reporter.network import shown_layers
from cifar_report.reporter.network_graph import network_graph
from cifar_report.reporter.results import misclassified

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

    from cifar_report.reporter.facts import Facts
    from cifar_report.reporter.theme import Theme

FOLDER = "figures"
KEYS = (
    "samples",
    "augmentation",
    "diagram",
    "receptive_field",
    "field_boxes",
    "effective_field",
    "curves",
    "per_class",
    "confusion",
    "calibration",
    "misclassified",
    "attention",
)


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure in two variants, and its content in words."""

    key: str
    alt: str
    caption: str
    light: Path
    """File beneath the report's folder."""
    dark: Path
    plot: str = ""
    """The same in characters, of several lines, where there is such a thing."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A picture to draw."""

    key: str
    suffix: str
    """`.svg` for charts, `.png` for images."""
    alt: str
    caption: str
    draw: Callable[[Theme], Figure | str]
    """Returns a figure, or an SVG's text."""
    plot: str = ""
    """The same in characters, where there is such a thing."""


def draw_all(
    facts: Facts, folder: Path, *, latex: bool = False, drawn: Callable[[Path], None] | None = None
) -> dict[str, Picture | None]:
    """Draw what the facts allow into `folder/figures`, light and dark.

    Args:
        facts: of the run.
        folder: the report's.
        latex: draw the light variant as PDF too, for what isn't made of pixels.
        drawn: hears of every file of the two variants, beneath `folder`, as soon as it is there, in some
            thread.

    Returns:
        For every key of `KEYS` the picture, or None where the run lacks what it would show.
    """
    (folder / FOLDER).mkdir(exist_ok=True)
    pictures: dict[str, Picture | None] = dict.fromkeys(KEYS)
    with themes.drawing(), ThreadPoolExecutor(1) as beside:
        written = []
        for plan in plans(facts):
            picture = _picture(plan)
            for theme, path in zip(themes.THEMES, (picture.light, picture.dark), strict=True):
                figure = plan.draw(theme)
                if path.suffix == ".png" and not isinstance(figure, str):
                    written.append(beside.submit(_write, themes.pixels(figure), folder, path, drawn))
                else:
                    _save(figure, folder / path)
                    if drawn:
                        drawn(path)
                if latex and path.suffix == ".svg" and theme is themes.LIGHT and not isinstance(figure, str):
                    themes.save(figure, folder / path.with_suffix(".pdf"))
            pictures[plan.key] = picture
        for one in written:
            one.result()
    return pictures


def _write(pixels: Image.Image, folder: Path, path: Path, drawn: Callable[[Path], None] | None) -> None:
    pixels.save(folder / path)
    if drawn:
        drawn(path)


def name_all(facts: Facts) -> dict[str, Picture | None]:
    """Return what `draw_all` does, without drawing: for a report that shows words only."""
    return {**dict.fromkeys(KEYS), **{plan.key: _picture(plan) for plan in plans(facts)}}


def _picture(plan: Plan) -> Picture:
    light, dark = (Path(FOLDER, f"{plan.key}-{theme.name}{plan.suffix}") for theme in themes.THEMES)
    return Picture(plan.key, plan.alt, plan.caption, light, dark, plan.plot)


def _save(drawn: Figure | str, path: Path) -> None:
    if isinstance(drawn, str):
        path.write_text(drawn, encoding="utf-8")
    else:
        themes.save(drawn, path)


def plans(facts: Facts) -> Iterator[Plan]:
    """Yield the pictures that the facts allow."""
    yield from _data_plans(facts)
    yield from _network_plans(facts)
    yield from _field_plans(facts)
    yield from _result_plans(facts)
    yield from _picture_plans(facts)


def _data_plans(facts: Facts) -> Iterator[Plan]:
    samples, run = facts.samples, facts.run
    if samples is None:
        return
    classes = run.config.data.classes
    if len(samples.images):
        yield Plan(
            "samples",
            ".png",
            photo_grids.describe_samples(samples.labels, classes),
            "Training images of each class",
            lambda theme: photo_grids.draw_samples(samples.images, samples.labels, classes, theme),
        )
    if run.augmentation is not None and len(samples.before):
        names = [transform.name for transform in run.augmentation.transforms]
        yield Plan(
            "augmentation",
            ".png",
            photo_grids.describe_augmentation(samples.before, names),
            "Training images before and after augmentation",
            lambda theme: photo_grids.draw_augmentation(samples.before, [samples.after], theme),
        )


def _network_plans(facts: Facts) -> Iterator[Plan]:
    analysis = facts.run.analysis
    layers = shown_layers(analysis)
    if analysis.operators:
        yield Plan(
            "diagram",
            ".svg",
            network_graph_texts.describe(network_graph(analysis)),
            "The network's layers and what flows between them",
            lambda theme: network_graph_svg.network_svg(analysis, scheme=theme.name),
        )
    if field_chart.has_fields(layers):
        yield Plan(
            "receptive_field",
            ".svg",
            field_chart.describe(analysis, layers),
            "Growth of the receptive field; the shaded bands are layers with maps of the same size",
            lambda theme: field_chart.draw(analysis, layers, theme),
        )


def _field_plans(facts: Facts) -> Iterator[Plan]:
    analysis, effective = facts.run.analysis, facts.measured.effective
    if field_pictures.can_draw(analysis):
        size = field_pictures_geometry.image_of(analysis)
        images = None if facts.samples is None else facts.samples.images[:1]
        fits = images is not None and images.shape[:3] == (1, *size)
        ground = colours(images[0]) if images is not None and fits else pattern(size)
        yield Plan(
            "field_boxes",
            ".png",
            field_pictures.describe_boxes(analysis),
            "What one unit of each layer sees on a training image"
            if fits
            else "What one unit of each layer sees of an image",
            lambda theme: field_pictures.draw_boxes(analysis, ground, theme),
        )
    if not isinstance(effective, str):
        yield Plan(
            "effective_field",
            ".png",
            field_pictures_effective.describe_effective(effective),
            "What of that the trained network makes use of: the gradient of the middle unit",
            lambda theme: field_pictures_effective.draw_effective(effective, theme),
        )


def _result_plans(facts: Facts) -> Iterator[Plan]:
    history, metrics = facts.run.history, facts.run.metrics
    if history:
        yield Plan(
            "curves",
            ".svg",
            curves.describe(history),
            "Loss, accuracy and learning rate over the epochs",
            lambda theme: curves.draw(history, theme),
            text_plots.curve(history),
        )
    if metrics is not None:
        yield Plan(
            "per_class",
            ".svg",
            class_charts.describe_bars(metrics),
            "Accuracy per class",
            lambda theme: class_charts.draw_bars(metrics, theme),
            text_plots.class_bars(metrics),
        )
        yield Plan(
            "confusion",
            ".svg",
            class_charts.describe_confusion(metrics),
            "Confusion matrix",
            lambda theme: class_charts.draw_confusion(metrics, theme),
        )


def _picture_plans(facts: Facts) -> Iterator[Plan]:
    metrics, samples, looks = facts.run.metrics, facts.samples, facts.measured.looks
    classes = facts.run.config.data.classes
    if metrics is not None and metrics.calibration is not None:
        calibration = metrics.calibration
        yield Plan(
            "calibration",
            ".svg",
            calibration_chart.describe(calibration),
            "Accuracy by confidence",
            lambda theme: calibration_chart.draw(calibration, theme),
            text_plots.calibration_bars(calibration),
        )
    mistakes = misclassified(facts)
    if mistakes and samples is not None:
        yield Plan(
            "misclassified",
            ".png",
            photo_grids.describe_mistakes(mistakes),
            "Misclassified test images with truth, guess and confidence",
            lambda theme: photo_grids.draw_mistakes(samples.test_images, mistakes, theme),
        )
    if looks and not isinstance(looks, str):
        yield Plan(
            "attention",
            ".png",
            attention.words(looks, classes),
            "Above the image, below where the network looked: Grad-CAM, bright where it speaks for the guess",
            lambda theme: attention_picture.draw(looks, classes, theme),
        )
