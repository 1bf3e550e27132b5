"""`cifar-report evaluate`: the accuracy of trained weights, measured again."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.console import prints_to_stderr, rendered, talk, write_result
from cifar_report.cli.options import device_option, format_option, output_option

if TYPE_CHECKING:
    from cifar_report.trainer.images import ImageData
    from cifar_report.trainer.passport import Passport
    from cifar_report.trainer.records import RunConfig

EPILOG = """
\b
Examples:
  cifar-report evaluate flagship --data cifar10
  cifar-report evaluate flagship --data data/cifar10-folder --format json
  cifar-report evaluate model.py:Net --data pictures/ --weights runs/net/checkpoint.safetensors
  cifar-report evaluate model.py:Net --data cifar10 --weights theirs.pt --flip-test

\b
Exit codes: 0 evaluated; 2 wrong usage or data; 3 the network fails, or the weights don't fit it.
"""


@click.command(epilog=EPILOG)
@click.argument("model")
@click.option(
    "--data",
    default="cifar10",
    show_default=True,
    metavar="cifar10|mnist|digits|FOLDER",
    help="Images, as `train` takes them; all of the test split count.",
)
@click.option(
    "--weights",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Weights of a run or from elsewhere.  [default: those that ship with a built-in network]",
)
@click.option("--flip-test", is_flag=True, help="Also judge each image together with its mirror image.")
@device_option
@format_option("table", "json", help="How to print the figures.")
@output_option
def evaluate(
    model: str, data: str, weights: Path | None, flip_test: bool, device: str, style: str, output: Path | None
) -> None:
    """Measure the accuracy of MODEL with trained weights on every test image of the data, once each.

    MODEL is a built-in network, or one of your own with --weights. Weights of a run know how their images
    were normalised and which classes they are for; with others, the mean and deviation of the data's
    training split count.
    """
    from cifar_report.analyzer.load import load_model
    from cifar_report.analyzer.load_weights import load_weights
    from cifar_report.cli.progress import showing
    from cifar_report.trainer.data import load_data
    from cifar_report.trainer.evaluate import evaluate as evaluated
    from cifar_report.trainer.evaluate import per_class, refuse_mirrored, with_mirror_images
    from cifar_report.trainer.network import Network
    from cifar_report.trainer.passport import read_passport

    loaded = load_model(model)
    file = weights or _shipped(model)
    if loaded.note:
        talk(loaded.note)
    talk(load_weights(loaded.module, file))
    with showing() as listener, prints_to_stderr(), loaded.running():
        images = load_data(data, listener)
        if flip_test:
            refuse_mirrored(images)
        network = Network(loaded.module, _recipe(read_passport(file), images, file, device))
        plain = evaluated(network, images.test, listener=listener)
        flipped = evaluated(network, images.test, mirrored=True, listener=listener) if flip_test else None
    together = None if flipped is None else with_mirror_images(plain, flipped)
    figures = {
        "model": loaded.name,
        "weights": {"file": file.name, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()},
        "data": images.name,
        "accuracy": plain.accuracy,
        "correct": plain.correct,
        "count": len(plain.labels),
        "loss": plain.loss,
        "per_class": [asdict(row) for row in per_class(plain, images.classes)],
        "flip_test": None if together is None else asdict(together),
    }
    write_result(json.dumps(figures, indent=1) if style == "json" else _table(figures), output)


def _shipped(model: str) -> Path:
    """Return the weights that ship with a network."""
    from cifar_report.models import registry

    known = [name for name in registry.names() if registry.weights(name)]
    file = registry.weights(model) if model in known else None
    if file is None:
        raise UsageError(
            f"{model} comes without trained weights",
            expected=f"--weights FILE, or one of {', '.join(known)}",
            hint=f"cifar-report train {model} makes such a file: checkpoint.safetensors in the run's folder",
        )
    return file


def _recipe(passport: Passport | None, images: ImageData, file: Path, device: str) -> RunConfig:
    """Return how images go into the network: as the weights say, or the training split."""
    from cifar_report.trainer.images import facts
    from cifar_report.trainer.options import Options, make_config

    options = Options(epochs=1, device=device)
    if passport is None:
        talk(
            f"{file} doesn't say how its images were normalised: by the training split of {images.name}, then"
        )
        return make_config(options, facts(images))
    if passport.classes != images.classes:
        raise UsageError(
            f"{file} is for other classes than the data has, or in another order",
            expected=", ".join(passport.classes),
            found=", ".join(images.classes),
        )
    normalize = {"mean": list(passport.mean), "std": list(passport.std)}
    return make_config(options, facts(images), normalize=normalize)


def _table(figures: dict[str, Any]) -> str:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("Class")
    for column in ("Right", "Images", "Accuracy [%]"):
        table.add_column(column, justify="right")
    for row in figures["per_class"]:
        table.add_row(row["name"], f"{row['correct']:,}", f"{row['count']:,}", f"{row['accuracy']:.2f}")
    table.add_section()
    table.add_row("all", f"{figures['correct']:,}", f"{figures['count']:,}", f"{figures['accuracy']:.2f}")
    if flip := figures["flip_test"]:
        mirrored = ("with mirror images", f"{flip['correct']:,}", f"{figures['count']:,}")
        table.add_row(*mirrored, f"{flip['accuracy']:.2f}")
    return rendered(table)
