"""`cifar-report augment`: what an augmentation does to images, as a table and as a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import (
    prints_to_stderr,
    rendered,
    result_console,
    talk,
    write_file,
    write_result,
)
from cifar_report.cli.options import back_end_option, format_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cifar_report.trainer.augment import Pipeline
    from cifar_report.trainer.augment_table import Row
    from cifar_report.trainer.feed import Feed
    from cifar_report.trainer.images import ImageData
    from cifar_report.trainer.records import DataFacts

MOST = 20
"""Images in a picture, and draws of each."""

_EPILOG = """
\b
Examples:
  cifar-report augment
  cifar-report augment eva6-s7-late --data cifar10
  cifar-report augment mine.toml --images 4 --draws 10 --out mine.png
  cifar-report augment pipeline.py:train --data pictures/ --seed 3
  cifar-report augment pipeline.py --with albumentations --format json

\b
A transform may be spelt as in albumentations' first versions: the table shows what that means today, with all
parameters then in force. An argument that albumentations would ignore is an error. The first draw is what the
report of a run with the same seed shows.
"""


def _number(*names: str, default: int, help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(*names, type=click.IntRange(1, MOST), default=default, show_default=True, help=help)


@click.command(short_help="Show what an augmentation does to images.", epilog=_EPILOG)
@click.argument("source", required=False, default="")
@click.option(
    "--data",
    default="digits",
    show_default=True,
    metavar="cifar10|mnist|digits|FOLDER",
    help="Whose images to show; their mean fills holes.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@_number("--images", "count", default=10, help="How many images to show.")
@_number("--draws", default=5, help="How often to augment each of them.")
@back_end_option(
    "--with", "back_end", help="Batched torch operations that do the same, or the library itself."
)
@format_option("table", "json", help="How to print the table.")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.png",
    help="Where the picture goes.  [runs/augmentation-DATA-SOURCE.png]",
)
def augment(
    source: str, data: str, seed: int, count: int, draws: int, back_end: str, style: str, out: Path | None
) -> None:
    """Show what the augmentation SOURCE does: every transform, and images before and after it.

    SOURCE is an assignment's id or TOML file, a Python file with an A.Compose as FILE.py or FILE.py:NAME, or
    none; what a training does where nothing is said, if not given.
    """
    if out and out.suffix.lower() != ".png":
        raise UsageError(f"the picture can't be written as {out}", expected="a file that ends in .png")
    from cifar_report.cli.progress import showing
    from cifar_report.trainer.augment_source import load_pipeline
    from cifar_report.trainer.augment_table import tabulate
    from cifar_report.trainer.data import load_data
    from cifar_report.trainer.feed import make_feed
    from cifar_report.trainer.images import facts
    from cifar_report.trainer.plan import EpochPlan

    with showing() as listener, prints_to_stderr():
        images = load_data(data, listener)
        described = facts(images)
        pipeline = load_pipeline(source, described, mirror=images.mirrored_is_same)
        plan = EpochPlan(len(images.train.labels), count, seed)
        feed = make_feed(images.train, pipeline.compose, plan, back_end=back_end, workers=0)
        picture = _picture(images, feed, pipeline, seed, count, draws)
        rows = tabulate(pipeline, described)
    place = out or _default_place(data, source)
    write_file(picture, place)
    if style == "json":
        text = _json(source, described, feed, rows, seed, place)
    else:
        text = f"{_heading(described, feed)}\n\n{_table(rows)}\n{place}"
    write_result(text)


def _picture(images: ImageData, feed: Feed, pipeline: Pipeline, seed: int, count: int, draws: int) -> bytes:
    from cifar_report.reporter.photo_grids import augmentation_png, describe_augmentation
    from cifar_report.trainer.samples import draw, spread

    chosen = spread(images, count)
    before = images.train.images[chosen]
    after = [draw(feed.augment, images, chosen, seed, number) for number in range(draws)]
    names = [type(transform).__name__ for transform in pipeline.compose.transforms[:-1]]
    talk(describe_augmentation(before, names or ["nothing"], draws))
    return augmentation_png(before, after)


def _default_place(data: str, source: str) -> Path:
    from cifar_report.cli.training import slug
    from cifar_report.trainer.place import make_folder

    name = "-".join(slug(part) for part in ("augmentation", data, source) if part)
    folder = Path("runs")
    make_folder(folder)
    return folder / f"{name}.png"


def _heading(data: DataFacts, feed: Feed) -> str:
    channels, height, width = data.image_shape
    which = {"torch": "batched torch operations augment", "albumentations": "albumentations augments"}
    why = f" ({feed.note})" if feed.note else ""
    return f"Images of {data.name}, {height}x{width}, {channels} channels; {which[feed.back_end]}{why}"


def _table(rows: Sequence[Row]) -> str:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    spelt = any(row.written for row in rows)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, show_lines=True)
    for title, ratio in (("Written", 5), ("In force in albumentations 2", 6), ("Changed", 4), ("Torch", 2)):
        if spelt or title not in ("Written", "Changed"):
            table.add_column(title, ratio=ratio, overflow="fold")
    for row in rows:
        now = f"left out: {row.left_out}" if row.left_out else str(row)
        twin = "" if row.left_out else "yes" if row.twin else row.no_twin
        cells = [row.written or "(added)", now, "; ".join(row.changes), twin] if spelt else [now, twin]
        table.add_row(*map(Text, cells))
    return rendered(table, width=result_console().width)


def _json(source: str, data: DataFacts, feed: Feed, rows: Sequence[Row], seed: int, place: Path) -> str:
    content: dict[str, Any] = {
        "source": source,
        "data": data.name,
        "image_shape": data.image_shape,
        "with": feed.back_end,
        "why": feed.note,
        "seed": seed,
        "transforms": [{**row.to_dict(), "in_force": "" if row.left_out else str(row)} for row in rows],
        "picture": str(place),
    }
    return json.dumps(content, indent=2)
