"""All pictures of a report: which there are, where their files lie, what they show in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_report.reporter import class_charts, curves, field_chart, photo_grids
from cifar_report.reporter import theme as themes
from cifar_report.reporter.network import shown_layers
from cifar_report.reporter.results import misclassified

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from cifar_report.reporter.facts import Facts
    from cifar_report.reporter.theme import Theme

FOLDER = "figures"
KEYS = ("samples", "augmentation", "receptive_field", "curves", "per_class", "confusion", "misclassified")


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure in two variants, and its content in words."""

    key: str
    alt: str
    caption: str
    light: Path
    """File beneath the report's folder."""
    dark: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """A picture to draw."""

    key: str
    suffix: str
    """`.svg` for charts, `.png` for images."""
    alt: str
    caption: str
    draw: Callable[[Theme], Figure]


def draw_all(facts: Facts, folder: Path) -> dict[str, Picture | None]:
    """Draw what the facts allow into `folder/figures`, light and dark.

    Returns:
        For every key of `KEYS` the picture, or None where the run lacks what it would show.
    """
    (folder / FOLDER).mkdir(exist_ok=True)
    pictures: dict[str, Picture | None] = dict.fromkeys(KEYS)
    with themes.drawing():
        for plan in plans(facts):
            files = {
                theme.name: Path(FOLDER, f"{plan.key}-{theme.name}{plan.suffix}") for theme in themes.THEMES
            }
            for theme in themes.THEMES:
                themes.save(plan.draw(theme), folder / files[theme.name])
            pictures[plan.key] = Picture(plan.key, plan.alt, plan.caption, files["light"], files["dark"])
    return pictures


def plans(facts: Facts) -> Iterator[Plan]:
    """Yield the pictures that the facts allow."""
    yield from _data_plans(facts)
    yield from _network_plans(facts)
    yield from _result_plans(facts)


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
            lambda theme: photo_grids.draw_augmentation(samples.before, samples.after, theme),
        )


def _network_plans(facts: Facts) -> Iterator[Plan]:
    analysis = facts.run.analysis
    layers = shown_layers(analysis)
    if field_chart.has_fields(layers):
        yield Plan(
            "receptive_field",
            ".svg",
            field_chart.describe(analysis, layers),
            "Growth of the receptive field; the shaded bands are layers with maps of the same size",
            lambda theme: field_chart.draw(analysis, layers, theme),
        )


def _result_plans(facts: Facts) -> Iterator[Plan]:
    history, metrics, samples = facts.run.history, facts.run.metrics, facts.samples
    if history:
        yield Plan(
            "curves",
            ".svg",
            curves.describe(history),
            "Loss, accuracy and learning rate over the epochs",
            lambda theme: curves.draw(history, theme),
        )
    if metrics is not None:
        yield Plan(
            "per_class",
            ".svg",
            class_charts.describe_bars(metrics),
            "Accuracy per class",
            lambda theme: class_charts.draw_bars(metrics, theme),
        )
        yield Plan(
            "confusion",
            ".svg",
            class_charts.describe_confusion(metrics),
            "Confusion matrix",
            lambda theme: class_charts.draw_confusion(metrics, theme),
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
