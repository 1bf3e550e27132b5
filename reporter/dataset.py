"""The data set and its augmentation in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cifar_report.reporter.tables import Column, Table, settings
from cifar_report.reporter.wording import count, flat, one_line, plural, shape, value_text

if TYPE_CHECKING:
    from cifar_report.trainer.records import Augmentation, DataFacts, RunConfig


@dataclass(frozen=True, slots=True)
class Dataset:
    """What the network was trained and tested on."""

    name: str
    balance: str
    facts: Table
    classes: Table
    augmentation: Table | None
    """None where training images went in as they are."""
    augmentation_library: str


def describe(config: RunConfig, augmentation: Augmentation | None) -> Dataset:
    """Turn the data set's facts and the pipeline in force into tables."""
    return Dataset(
        name=one_line(config.data.name),
        balance=_balance(config.data),
        facts=_facts(config),
        classes=_classes(config.data),
        augmentation=_transforms(augmentation),
        augmentation_library=one_line(augmentation.library) if augmentation else "none",
    )


def _facts(config: RunConfig) -> Table:
    data = config.data
    channels = " · ".join
    rows = [
        ("Name", one_line(data.name)),
        ("Given as", one_line(config.data_source) or "not recorded"),
        ("Classes", count(len(data.classes))),
        ("Training images", count(data.train_count)),
        ("Test images", count(data.test_count)),
        ("Image size: channels, height, width", shape(data.image_shape)),
        ("Mean per channel of the training images, 0 to 1", channels(f"{v:.4f}" for v in data.mean)),
        ("Standard deviation per channel", channels(f"{v:.4f}" for v in data.std)),
        ("Preparation", one_line(data.note) or "none"),
        ("SHA-256 of the training split", one_line(data.train_hash)),
        ("SHA-256 of the test split", one_line(data.test_hash)),
    ]
    return settings("The data set as it was used", rows, "Fact")


def _balance(data: DataFacts) -> str:
    parts = [_split_balance("training", data.train_per_class), _split_balance("test", data.test_per_class)]
    return " ".join(parts)


def _split_balance(split: str, counts: tuple[int, ...]) -> str:
    least, most = min(counts), max(counts)
    if least == most:
        return f"The {split} split is balanced: {plural(least, 'image')} per class."
    ratio = f", a ratio of {most / least:.2f}" if least else ""
    return f"The {split} split has from {least:,} to {most:,} images per class{ratio}."


def _classes(data: DataFacts) -> Table:
    rows = zip(data.classes, data.train_per_class, data.test_per_class, strict=True)
    return Table(
        "Images per class",
        (
            Column("Class"),
            Column("Training", right=True),
            Column("Share", right=True),
            Column("Test", right=True),
        ),
        tuple(
            (one_line(name), count(train), f"{100 * train / data.train_count:.1f} %", count(test))
            for name, train, test in rows
        ),
        total=("All classes", count(data.train_count), "100.0 %", count(data.test_count)),
    )


def _transforms(augmentation: Augmentation | None) -> Table | None:
    if augmentation is None:
        return None
    return Table(
        "Transforms in the order in which they are applied, with the parameters in force",
        (Column("Transform", code=True), Column("Probability", right=True), Column("Parameters")),
        tuple(
            (
                one_line(transform.name),
                value_text(transform.parameters.get("p", "not given")),
                "; ".join(f"{name} = {value}" for name, value in flat(transform.parameters) if name != "p")
                or "none",
            )
            for transform in augmentation.transforms
        ),
    )
