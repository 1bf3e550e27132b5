"""The report as one value: every sentence and table that the templates print, in plain text.

Templates escape and arrange; they compute nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cifar_report.reporter import attention, dataset, goals, network, results, training
from cifar_report.reporter.absent import missing_pictures
from cifar_report.reporter.sections import SECTIONS, Section
from cifar_report.reporter.tables import Table, settings
from cifar_report.reporter.wording import NOT_MEASURED, count, field_pixels, flat, millions, one_line, percent

if TYPE_CHECKING:
    from cifar_report.reporter.author import Author
    from cifar_report.reporter.facts import Facts
    from cifar_report.trainer.records import RunConfig

NO_ASSIGNMENT = "No assignment was given to this run."

_ITEM = re.compile(r"^\s*(?:[-*+]|\d+[.)])\s+")


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph, or a list when `items` is not empty."""

    text: str
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class KeyFigure:
    """A figure of the first screen."""

    label: str
    value: str
    note: str


@dataclass(frozen=True, slots=True)
class Document:
    """All that a report says."""

    title: str
    subtitle: str
    author: Author | None
    """Who hands the report in; None where that wasn't said."""
    sections: tuple[Section, ...]
    """Which parts to print, in this order."""
    key_figures: tuple[KeyFigure, ...]
    goals: goals.Goals
    assignment: str
    assignment_text: tuple[Block, ...]
    dataset: dataset.Dataset
    network: network.Network
    training: training.Training
    results: results.Results
    attention: attention.Attention
    environment: Table | None
    command: str
    """Empty where the run doesn't know it."""
    weights: str
    limits: tuple[str, ...]
    absent: dict[str, str]
    """Why a picture is not there, by the picture's key."""
    version: str


def compose(
    facts: Facts,
    version: str,
    *,
    author: Author | None = None,
    sections: tuple[Section, ...] = SECTIONS,
) -> Document:
    """Put all facts into words.

    Args:
        facts: what `facts.gather` returned.
        version: of this program, for the last line.
        author: who hands the report in.
        sections: which parts to print, in this order.
    """
    config = facts.run.config
    name = _model_name(facts)
    environment = flat(facts.run.environment)
    return Document(
        title=f"{name} on {one_line(config.data.name)}",
        subtitle=_subtitle(facts),
        author=author,
        sections=sections,
        key_figures=_key_figures(facts),
        goals=goals.describe(facts.verdicts),
        assignment=_assignment_title(config.assignment),
        assignment_text=_prose(str((config.assignment or {}).get("prose", ""))),
        dataset=dataset.describe(config, facts.run.augmentation),
        network=network.describe(facts.run.analysis, facts.measured),
        training=training.describe(facts.run),
        results=results.describe(facts),
        attention=attention.describe(facts.measured, config.data.classes),
        environment=settings("Environment", environment, "Part") if environment else None,
        command=one_line(config.command),
        weights=facts.weights_sha256 or NOT_MEASURED + ": the run folder has no weights",
        limits=_limits(facts),
        absent=missing_pictures(facts),
        version=version,
    )


def _model_name(facts: Facts) -> str:
    return one_line(facts.run.config.model) or one_line(facts.run.analysis.model) or "network"


def _subtitle(facts: Facts) -> str:
    metrics, config = facts.run.metrics, facts.run.config
    parameters = count(facts.run.analysis.totals.params)
    if metrics is None:
        return f"{parameters} parameters; test accuracy not measured, because the run is not complete."
    return (
        f"{percent(metrics.accuracy)} on {metrics.count:,} test images with {parameters} parameters,"
        f" after {training.trained(config)}, seed {config.seed}."
    )


def _key_figures(facts: Facts) -> tuple[KeyFigure, ...]:
    totals, metrics = facts.run.analysis.totals, facts.run.metrics
    field = totals.receptive_field
    return (
        KeyFigure(
            "Test accuracy",
            percent(metrics.accuracy) if metrics else NOT_MEASURED,
            f"last epoch, {metrics.count:,} images" if metrics else "the run is not complete",
        ),
        KeyFigure("Parameters", count(totals.params), f"{count(totals.trainable_params)} trainable"),
        KeyFigure(
            "Receptive field",
            field_pixels(field.output),
            f"at the output; before global pooling {field_pixels(field.before_gap)}",
        ),
        KeyFigure("MACs", millions(totals.macs, ""), "multiply-accumulates for one image"),
    )


def _assignment_title(assignment: dict[str, Any] | None) -> str:
    if not assignment:
        return NO_ASSIGNMENT
    title, identity = one_line(str(assignment.get("title") or "")), one_line(str(assignment.get("id") or ""))
    return (
        f"{title} ({identity})"
        if title and identity
        else title or identity or "An assignment without a title"
    )


def _prose(text: str) -> tuple[Block, ...]:
    """Split prose at blank lines into paragraphs, and lines with bullets or numbers into lists."""
    blocks: list[Block] = []
    for part in re.split(r"\n\s*\n", text.strip()):
        words: list[str] = []
        items: list[str] = []
        for line in part.splitlines():
            if _ITEM.match(line):
                items.append(one_line(_ITEM.sub("", line)))
            elif items:
                items[-1] = f"{items[-1]} {one_line(line)}"
            else:
                words.append(line)
        if words:
            blocks.append(Block(one_line(" ".join(words))))
        if items:
            blocks.append(Block("", tuple(items)))
    return tuple(block for block in blocks if block.text or block.items)


def _limits(facts: Facts) -> tuple[str, ...]:
    config: RunConfig = facts.run.config
    limits = [
        f"Accuracy is of the last epoch and of one seed ({config.seed}); how much other seeds differ was not"
        " measured."
        if facts.run.metrics
        else "The run is not complete: what only its end would show is not measured.",
        "The best epoch was chosen on images held out from training, where its accuracy flatters."
        if config.data.validation_count
        else "The best epoch was chosen on the test split, so its accuracy flatters and decides nothing"
        " here.",
        "The receptive field is what a unit can see, not what the trained network makes use of.",
        "Seconds and images per second depend on the machine and on what else ran on it.",
    ]
    if not facts.run.analysis.totals.receptive_field.output.uniform:
        limits.append("The receptive field differs from unit to unit; the largest is given.")
    if config.start:
        limits.append(
            f"The training began with what {one_line(config.start['run'])} had learnt; its own"
            " report tells how that was trained."
        )
    if config.data.note:
        limits.append(f"The images are not the original ones: {one_line(config.data.note)}.")
    return tuple(limits)
