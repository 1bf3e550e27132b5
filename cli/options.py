"""Options and steps that several commands share."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cifar_report.analyzer.errors import ModelError
from cifar_report.cli.console import talk

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cifar_report.analyzer.analysis import Analysis, InputSpec
    from cifar_report.analyzer.expression import Constraint
    from cifar_report.analyzer.load import LoadedModel


def input_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--input`."""
    return click.option(
        "--input",
        "inputs",
        multiple=True,
        metavar="C,H,W",
        help="Shape of one image, without the batch. Again for each further argument: 77:int64 with a "
        "dtype, mask=1,32,32 by keyword.  [default: 3,32,32, or what a built-in network or the assignment "
        "is about]",
    )(command)


def output_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `-o FILE`."""
    return click.option(
        "-o",
        "--output",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Write to a file instead of standard output.",
    )(command)


def format_option(*choices: str, help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what adds `--format`, whose first choice is the default."""
    return click.option(
        "--format",
        "style",
        type=click.Choice(choices),
        default=choices[0],
        show_default=True,
        help=help,
    )


def back_end_option(*names: str, help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what adds the choice of what augments images."""
    return click.option(
        *names,
        type=click.Choice(["auto", "torch", "albumentations"]),
        default="auto",
        show_default=True,
        help=help,
    )


def device_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--device`."""
    return click.option(
        "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True
    )(command)


def weights_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--weights FILE`."""
    return click.option(
        "--weights",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Load weights first: shows that they fit; figures change only where the path depends on values.",
    )(command)


def analyze_model(model: str, inputs: tuple[str, ...], weights: Path | None = None) -> Analysis:
    """Load a network by name and analyse it; say so where something was chosen or took long."""
    return load_and_analyze(model, inputs, weights, values=False)[1]


def load_and_analyze(
    model: str, inputs: tuple[str, ...], weights: Path | None = None, *, values: bool = True
) -> tuple[LoadedModel, Analysis]:
    """Do the same for a command that goes on with the network itself, inside of `loaded.running()`.

    Args:
        model: the network's name.
        inputs: as `--input` gives them; none for what the network was made for, or CIFAR-10's images.
        weights: a file to load into it first.
        values: the network's weights have values; nothing else than an analysis can do without.
    """
    from cifar_report.analyzer.analysis import InputSpec
    from cifar_report.analyzer.inputs import parse_input
    from cifar_report.analyzer.load import load_model
    from cifar_report.analyzer.load_weights import load_weights

    given = [parse_input(text) for text in inputs]
    loaded = load_model(model, values=values or weights is not None)
    specs = given or [InputSpec(loaded.input_shape or (3, 32, 32))]
    if loaded.note:
        talk(loaded.note)
    if weights is not None:
        talk(load_weights(loaded.module, weights))
    start = time.monotonic()
    loaded, analysis = _analyzed(loaded, specs)
    if time.monotonic() - start > 2:
        talk(f"analysed {len(analysis.operators):,} operators in {time.monotonic() - start:.1f} s")
    if analysis.rung == "real":
        talk("traced on real tensors: the network asks for values, so other inputs may take other branches")
    return loaded, analysis


def completed_for(constraints: Iterable[Constraint], loaded: LoadedModel, analysis: Analysis) -> Analysis:
    """Return an analysis with the figures that only these constraints ask for."""
    from cifar_report.analyzer.coverage_asked import completed

    with loaded.running():
        return completed(analysis, loaded.module, list(analysis.inputs), constraints)


def _analyzed(loaded: LoadedModel, inputs: list[InputSpec]) -> tuple[LoadedModel, Analysis]:
    """Analyse a network; one that was built without values and turns out to ask for them gets them."""
    from cifar_report.analyzer.assemble import analyze
    from cifar_report.analyzer.load import load_model

    try:
        with loaded.running():
            analysis = analyze(loaded.module, inputs=inputs, name=loaded.name)
        if analysis.rung == "meta" or not loaded.hollow:
            return loaded, analysis
    except ModelError as error:
        if not (loaded.hollow and "meta" in str(error)):
            raise
    loaded = load_model(loaded.name)
    with loaded.running():
        return loaded, analyze(loaded.module, inputs=inputs, name=loaded.name)
