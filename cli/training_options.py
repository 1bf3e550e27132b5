"""The argument and the options that `train` and `train-and-report` share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from cifar_report.cli.options import back_end_option, device_option
from cifar_report.cli.training_config import read_config

DEFAULT_MODEL = "document_003"


def _share(option: str, default: float | None, text: str, **more: Any) -> Callable[..., Any]:
    kind = click.FloatRange(min=0, max=1)
    return click.option(
        option, type=kind, default=default, show_default=default is not None, help=text, **more
    )


OPTIONS = (
    click.argument("model", required=False, default=DEFAULT_MODEL),
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        is_eager=True,
        callback=read_config,
        help="A TOML file of options, such as lr = 0.1; the command line overrides it.",
    ),
    click.option(
        "--data",
        default="cifar10",
        show_default=True,
        metavar="cifar10|mnist|digits|FOLDER|FILE.py:FUNCTION",
        help="Images: CIFAR-10 or MNIST (downloaded to data/ once), scikit-learn's digits, a folder with "
        "train/CLASS/ and test/CLASS/ or with these two's original files, or a function that returns two "
        "datasets.",
    ),
    click.option(
        "--val",
        "validation",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="Hold N training images out and judge every epoch on them; the test images are looked at once, "
        "in the end.",
    ),
    click.option(
        "--epochs",
        type=click.IntRange(min=1),
        help="Passes over the training images.  [12 for digits, else 20]",
    ),
    click.option("--batch-size", type=click.IntRange(min=2), default=128, show_default=True),
    click.option("--optimizer", type=click.Choice(["sgd", "adamw"]), default="sgd", show_default=True),
    click.option(
        "--lr",
        "learning_rate",
        type=click.FloatRange(min=0, min_open=True),
        default=0.2,
        show_default=True,
        help="Highest learning rate of the schedule.",
    ),
    _share("--momentum", 0.9, "Of SGD, in Nesterov's form."),
    click.option("--weight-decay", type=click.FloatRange(min=0), default=3e-4, show_default=True),
    click.option(
        "--schedule",
        type=click.Choice(["one-cycle", "cosine", "step", "constant"]),
        default="one-cycle",
        show_default=True,
    ),
    _share(
        "--warm-up", None, "Share of the steps in which the learning rate rises.  [0.3 for one-cycle, else 0]"
    ),
    _share("--step-factor", 0.1, "What the learning rate falls by, with step."),
    click.option(
        "--step-times",
        type=click.IntRange(min=1),
        default=2,
        show_default=True,
        help="How often it falls, with step.",
    ),
    _share("--label-smoothing", 0.05, "Share of each label that is spread over all classes."),
    click.option(
        "--augment",
        default="",
        metavar="SOURCE",
        help="none, an assignment's id or TOML file, or a Python file with an A.Compose, FILE.py:NAME.  [the "
        "assignment's, or what suits the data]",
    ),
    back_end_option(
        "--augment-with",
        help="Batched torch operations that do the same, or the library in worker processes.",
    ),
    click.option("--mixup", type=click.FloatRange(min=0), default=0.0, help="Alpha of mixup, such as 0.2."),
    click.option("--cutmix", type=click.FloatRange(min=0), default=0.0, help="Alpha of cutmix, such as 1."),
    click.option(
        "--ema",
        "average",
        type=click.FloatRange(min=0, max=1, max_open=True),
        default=0.0,
        help="Decay per step of a moving average of the weights, such as 0.999, which is then what is judged "
        "and saved.",
    ),
    click.option(
        "--clip", type=click.FloatRange(min=0), default=0.0, help="Largest norm of the gradients, such as 1."
    ),
    click.option(
        "--flip-test",
        is_flag=True,
        help="Also judge each test image together with its mirror image; reported apart.",
    ),
    click.option(
        "--start",
        type=click.Path(path_type=Path),
        metavar="RUN",
        help="Begin with a finished run's weights instead of random ones.",
    ),
    click.option(
        "--teacher",
        type=click.Path(path_type=Path),
        metavar="RUN",
        help="Learn from a finished run's network besides the labels.",
    ),
    _share("--teacher-weight", 0.5, "The teacher's share of what is learnt from."),
    click.option(
        "--temperature",
        type=click.FloatRange(min=0, min_open=True),
        default=4.0,
        show_default=True,
        help="What softens the teacher's scores.",
    ),
    click.option(
        "--seed",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="The same seed gives the same run on the same machine.",
    ),
    click.option(
        "--seeds",
        metavar="0-4",
        help="A run for each seed in a folder of its own in --out; prints mean and 95 % interval.",
    ),
    device_option,
    click.option(
        "--precision",
        type=click.Choice(["auto", "float32", "bfloat16", "float16"]),
        default="auto",
        show_default=True,
        help="Of training; evaluation is in float32. auto measures for a second.",
    ),
    click.option(
        "--memory-format",
        type=click.Choice(["auto", "channels_last", "contiguous"]),
        default="auto",
        show_default=True,
        help="auto measures for a second.",
    ),
    click.option(
        "--compile",
        type=click.Choice(["auto", "on", "off"]),
        default="auto",
        show_default=True,
        help="Let torch.compile make faster code of the network; auto tries whether it is faster, "
        "in trainings of over ten minutes (on a GPU: one). Takes half a minute, and on a CPU a C++ compiler.",
    ),
    click.option(
        "--overfit-batch",
        is_flag=True,
        help="Only see whether the network can learn one batch by heart; writes nothing.",
    ),
    click.option(
        "--find-lr",
        "find_rate",
        is_flag=True,
        help="Only try learning rates on a copy of the network, from 1e-6 to 10, and suggest one; table, "
        "data and picture go to --out.  [runs/lr-DATA-MODEL]",
    ),
    click.option(
        "--tensorboard",
        is_flag=True,
        help="Also write the history as TensorBoard's events, to the folder tensorboard in the run's.",
    ),
    click.option("--assignment", metavar="ID", help="Judge the run by an assignment: an id or a TOML file."),
    click.option(
        "--require",
        multiple=True,
        metavar="EXPR",
        help="A constraint, such as 'test_accuracy >= 85'; repeatable.",
    ),
    click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="The run's folder, new or empty.  [runs/DATA-MODEL]",
    ),
    click.option("--overwrite", is_flag=True, help="Replace a run that lies in --out."),
    click.option(
        "--resume",
        type=click.Path(path_type=Path),
        metavar="RUN",
        help="Go on with a run that was stopped, as if it hadn't been.",
    ),
    click.option(
        "--workers", type=click.IntRange(min=0), help="Processes that augment images; the result is the same."
    ),
    click.option(
        "--progress",
        type=click.Choice(["auto", "plain", "json", "none"]),
        default="auto",
        show_default=True,
        help="On standard error: a bar on a terminal and a line per epoch elsewhere, always lines, a JSON "
        "object per line, or nothing.",
    ),
)

BESIDE_RESUME = {"resume", "workers", "progress", "verbose"}
"""What may stand beside `--resume`: the rest is the run's already."""


def training_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument and the options of a training."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command
