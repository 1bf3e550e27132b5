"""All that the epochs of a run need, put together once."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import nn

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.augment import Pipeline, describe, normalisation
from cifar_report.trainer.augment_source import load_pipeline
from cifar_report.trainer.averages import make_average
from cifar_report.trainer.epoch import Trainee
from cifar_report.trainer.evaluate import refuse_mirrored
from cifar_report.trainer.feed import Feed, make_feed
from cifar_report.trainer.images import ImageData, Split, facts
from cifar_report.trainer.listen import Listener
from cifar_report.trainer.network import Network
from cifar_report.trainer.optimize import make_optimizer, refuse_untrainable
from cifar_report.trainer.options import Options, make_config
from cifar_report.trainer.plan import EpochPlan
from cifar_report.trainer.precision import candidates
from cifar_report.trainer.records import SCHEMA_VERSION, Augmentation, DataFacts, RunConfig
from cifar_report.trainer.run import Run
from cifar_report.trainer.teacher import Teacher
from cifar_report.trainer.team import Team
from cifar_report.trainer.trial import choose_compiled, choose_speed, refuse_uncompilable, try_out
from cifar_report.trainer.validation import hold_out

_TRIED = 8
"""Images of the trial step."""
_MEASURED = 32
"""Images of the steps that are measured."""


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """A run's recipe and all that it takes."""

    config: RunConfig
    trainee: Trainee
    judged: Network
    """What is evaluated: the network itself, or the one with averaged weights."""
    data: ImageData
    """Without the images that are held out."""
    validation: Split | None
    augmentation: Augmentation
    feed: Feed
    notes: tuple[str, ...]
    """What the user should know of the augmentation."""
    team: Team


def new_work(
    module: nn.Module,
    data: ImageData,
    options: Options,
    teacher: Teacher | None,
    team: Team,
    listener: Listener,
) -> Work:
    """Put a new run together, and try its network out. The leader's listener hears how it computes.

    Raises:
        UsageError: the device isn't there, the precision can't be used, or too many images are held out.
        ModelError: the network doesn't fit the data, or fails.
    """
    data, validation = hold_out(data, options.validation)
    described = _facts(data, validation)
    mirror, assignment = data.mirrored_is_same, options.assignment
    pipeline = load_pipeline(options.augment, described, mirror=mirror, assignment=assignment)
    config = make_config(
        options,
        described,
        teacher=teacher.record if teacher else None,
        processes=team.size,
        normalize=_other_normalisation(pipeline, described),
    )
    if config.flip_test:
        refuse_mirrored(data)
    refuse_untrainable(module)
    try_out(Network(module, config), *_first(data, _TRIED))
    ways = candidates(options.precision, options.memory_format, config.device) if team.leads else []
    speed = choose_speed(module, config, ways, _first(data, _MEASURED)) if team.leads else None
    speed = team.tell(speed)
    if speed is None:
        raise RuntimeError("the leader chose no way to compute")
    extra = {**config.extra, "memory_format": speed.memory_format}
    config = replace(config, precision=speed.precision, extra=extra)
    if team.tell(team.leads and _compiled(module, data, config, options.compile, listener)):
        config = replace(config, extra={**config.extra, "compiled": True})
    return _put_together(module, data, validation, config, pipeline, teacher, options.workers, team)


def same_work(
    module: nn.Module,
    data: ImageData,
    run: Run,
    teacher: Teacher | None,
    workers: int | None,
    team: Team,
    listener: Listener,
) -> Work:
    """Put a run together that has begun.

    Raises:
        UsageError: version, data, teacher or augmentation are not the run's, or its compiled network can't
            be compiled here.
    """
    config = run.config
    if config.schema_version != SCHEMA_VERSION:
        raise UsageError(
            f"{run.folder} can't be resumed: another version of cifar-report began it",
            expected=f"schema version {SCHEMA_VERSION}",
            found=f"schema version {config.schema_version}",
            hint="go on with that version, or train again; a report can be made of it",
        )
    data, validation = hold_out(data, config.data.validation_count)
    _refuse_other_data(run, _facts(data, validation))
    if (teacher.record if teacher else None) != config.teacher:
        raise UsageError(
            f"{run.folder} can't be resumed: its teacher is not what it was",
            expected=json.dumps(config.teacher),
            found=json.dumps(teacher.record if teacher else None),
        )
    mirror, assignment = data.mirrored_is_same, config.assignment
    pipeline = load_pipeline(config.augment, config.data, mirror=mirror, assignment=assignment)
    work = _put_together(module, data, validation, config, pipeline, teacher, workers, team)
    _refuse_other_augmentation(run, work.augmentation)
    if config.extra.get("compiled") and team.leads:
        refuse_uncompilable(Network(module, config), _first(data, _share(config)), listener)
    return work


def _put_together(
    module: nn.Module,
    data: ImageData,
    validation: Split | None,
    config: RunConfig,
    pipeline: Pipeline,
    teacher: Teacher | None,
    workers: int | None,
    team: Team,
) -> Work:
    network = Network(module, config, team)
    average = make_average(network.module, config.average) if config.average else None
    plan = EpochPlan(len(data.train.labels), config.batch_size, config.seed, team.rank, team.size)
    feed = make_feed(
        data.train,
        pipeline.compose,
        plan,
        device=config.device,
        back_end=config.augment_with,
        workers=workers,
    )
    return Work(
        config=replace(config, augment_with=feed.back_end),
        trainee=Trainee(
            network=network,
            optimizer=make_optimizer(network.module, config),
            scaler=torch.amp.GradScaler(config.device, enabled=config.precision == "float16"),
            average=average,
            teacher=teacher.network(config.device) if teacher else None,
        ),
        judged=Network(average.module, config) if average else network,
        data=data,
        validation=validation,
        augmentation=describe(pipeline.compose),
        feed=feed,
        notes=(*pipeline.notes, *([feed.note] if feed.note else [])),
        team=team,
    )


def _compiled(module: nn.Module, data: ImageData, config: RunConfig, asked: str, listener: Listener) -> bool:
    steps = config.epochs * math.ceil(len(data.train.labels) / config.batch_size)
    return choose_compiled(module, config, asked, steps, _first(data, _share(config)), listener)


def _share(config: RunConfig) -> int:
    """Return how many images of a batch a process gets."""
    return config.batch_size // config.processes


def _facts(data: ImageData, validation: Split | None) -> DataFacts:
    return replace(facts(data), validation_count=len(validation.labels) if validation else 0)


def _other_normalisation(pipeline: Pipeline, data: DataFacts) -> dict[str, list[float]] | None:
    """Return what a pipeline of the user's normalises with; None where that is the data's own."""
    mean, std = normalisation(pipeline.compose)
    if np.allclose(mean, data.mean, rtol=0, atol=1e-12) and np.allclose(std, data.std, rtol=0, atol=1e-12):
        return None
    return {"mean": mean, "std": std}


def _first(data: ImageData, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.from_numpy(data.train.images[:count]), torch.from_numpy(data.train.labels[:count])


def _refuse_other_data(run: Run, data: DataFacts) -> None:
    if (data.train_hash, data.test_hash) != (run.config.data.train_hash, run.config.data.test_hash):
        raise UsageError(
            f"{run.folder} can't be resumed: {run.config.data_source} holds other images than before",
            expected=f"SHA-256 {_hashes(run.config.data)}",
            found=_hashes(data),
        )


def _refuse_other_augmentation(run: Run, augmentation: Augmentation) -> None:
    before = json.dumps(asdict(run.augmentation)) if run.augmentation else "none"
    if json.dumps(asdict(augmentation)) != before:
        raise UsageError(
            f"{run.folder} can't be resumed: this version augments in another way",
            expected=run.augmentation.library if run.augmentation else "no augmentation",
            found=augmentation.library,
            hint="install the versions in its environment.json",
        )


def _hashes(data: DataFacts) -> str:
    return f"{data.train_hash[:12]} (train), {data.test_hash[:12]} (test)"
