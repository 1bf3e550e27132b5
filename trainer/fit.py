"""Training a network on a data set: from the recipe to a complete run folder."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.trainer import checkpoint
from cifar_report.trainer.atomic import remove_partial, write_json, write_text
from cifar_report.trainer.augment import assignment_pipeline, describe
from cifar_report.trainer.checkpoint import State
from cifar_report.trainer.claim import Claim, claimed
from cifar_report.trainer.environment import describe_environment
from cifar_report.trainer.epoch import Tally, train_epoch
from cifar_report.trainer.evaluate import Evaluation, evaluate, make_metrics
from cifar_report.trainer.feed import Feed, make_feed
from cifar_report.trainer.images import ImageData, facts
from cifar_report.trainer.listen import Listener
from cifar_report.trainer.lock import locked
from cifar_report.trainer.network import Network, try_out
from cifar_report.trainer.optimize import make_optimizer
from cifar_report.trainer.options import Options, choose_device, make_config
from cifar_report.trainer.place import CONFIG_FILE
from cifar_report.trainer.plan import EpochPlan
from cifar_report.trainer.records import Augmentation, DataFacts, Epoch, RunConfig, to_dict
from cifar_report.trainer.run import Run, read_run
from cifar_report.trainer.samples import write_predictions, write_samples

_TRIED = 8
"""Images of the trial step."""


def train(
    module: nn.Module,
    data: ImageData,
    options: Options,
    folder: Path,
    listener: Listener,
    *,
    analysis: Analysis,
) -> Run:
    """Train a network from its present weights and write the run folder.

    Reseeds the global random generators. An error before the first epoch is complete leaves no
    folder; a kill or Ctrl-C leaves one that `resume` goes on with.

    Args:
        module: takes (N, 3, 32, 32), returns logits or log-probabilities (N, classes); is trained.
        data: of `data.load_data`.
        options: what to train with.
        folder: a new or empty one; with `options.overwrite`, a run's.
        listener: hears of every step.
        analysis: of the module, stored in the run.

    Raises:
        UsageError: the folder can't be written, or the device isn't there.
        ModelError: the network doesn't fit the data, fails, or its loss is not finite.
    """
    with claimed(folder, listener, overwrite=options.overwrite) as claim:
        return begin(module, data, options, claim, listener, analysis=analysis)


def begin(
    module: nn.Module,
    data: ImageData,
    options: Options,
    claim: Claim,
    listener: Listener,
    *,
    analysis: Analysis,
) -> Run:
    """Do what `train` does in a folder that is claimed already."""
    work = _Work.prepare(module, data, make_config(options, facts(data)), options.workers)
    try_out(work.network, *_first_images(data))
    state = State(work.network.module.state_dict(), work.optimizer.state_dict(), ())
    with claim.filling() as folder:
        write_json(folder / "environment.json", describe_environment(work.config.device))
        write_json(folder / "augmentation.json", to_dict(work.augmentation))
        write_text(folder / "analysis.json", analysis.to_json())
        write_samples(folder, data, work.feed.augment, work.config.seed, None)
        checkpoint.save(folder, state, work.config)
        write_json(folder / CONFIG_FILE, to_dict(work.config))
    return _go_on(work, folder, state, listener)


def resume(
    module: nn.Module, data: ImageData, folder: Path, listener: Listener, *, workers: int | None = None
) -> Run:
    """Go on with a run after its last complete epoch; it ends as if it had never stopped.

    Raises:
        UsageError: not a run, another process writes it, or the data, the device or the
            augmentation are not what they were.
        ModelError: the network is not the run's, fails, or its loss is not finite.
    """
    with locked(folder, listener):
        remove_partial(folder)
        run = read_run(folder)
        choose_device(run.config.device)
        work = _Work.prepare(module, data, run.config, workers)
        _refuse_other(run, facts(data), work.augmentation)
        state = checkpoint.load(folder)
        checkpoint.restore(state, work.network.module, work.optimizer)
        checkpoint.save_derived(folder, state, run.config)
        return _go_on(work, folder, state, listener)


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """All that an epoch needs."""

    network: Network
    optimizer: torch.optim.Optimizer
    data: ImageData
    config: RunConfig
    augmentation: Augmentation
    feed: Feed

    @classmethod
    def prepare(cls, module: nn.Module, data: ImageData, config: RunConfig, workers: int | None) -> _Work:
        pipeline = assignment_pipeline(config.data, mirror=data.mirrored_is_same)
        network = Network(module, config)
        plan = EpochPlan(len(data.train.labels), config.batch_size, config.seed)
        return cls(
            network=network,
            optimizer=make_optimizer(network.module, config),
            data=data,
            config=config,
            augmentation=describe(pipeline),
            feed=make_feed(data.train, pipeline, plan, device=config.device, workers=workers),
        )


def _go_on(work: _Work, folder: Path, state: State, listener: Listener) -> Run:
    """Train the epochs that are missing, then write what the finished run holds besides."""
    config, data = work.config, work.data
    evaluation = None
    for number in range(len(state.history) + 1, config.epochs + 1):
        begin = time.perf_counter()
        tally = train_epoch(work.network, work.optimizer, work.feed, config, number, listener)
        evaluation = evaluate(work.network, data.test)
        entry = _entry(number, tally, evaluation, time.perf_counter() - begin)
        history = (*state.history, entry)
        state = State(work.network.module.state_dict(), work.optimizer.state_dict(), history)
        checkpoint.save(folder, state, config)
        listener.epoch(entry, config.epochs)
    evaluation = evaluation or evaluate(work.network, data.test)
    write_predictions(folder, evaluation)
    write_samples(folder, data, work.feed.augment, config.seed, evaluation)
    metrics = make_metrics(evaluation, data.classes, state.history)
    write_json(folder / "metrics.json", to_dict(metrics))
    return read_run(folder)


def _entry(number: int, tally: Tally, evaluation: Evaluation, seconds: float) -> Epoch:
    if not math.isfinite(evaluation.loss):
        raise ModelError(
            f"training stopped: the test loss is {evaluation.loss} after epoch {number}",
            expected="a finite number",
            found=f"{evaluation.loss}, with a train loss of {tally.loss / tally.count:.4g}",
            hint="a lower --lr",
        )
    return Epoch(
        epoch=number,
        train_loss=tally.loss / tally.count,
        train_accuracy=tally.accuracy,
        test_loss=evaluation.loss,
        test_accuracy=evaluation.accuracy,
        train_count=tally.count,
        test_count=len(evaluation.labels),
        learning_rate=tally.learning_rate,
        seconds=seconds,
        images_per_second=tally.count / tally.seconds,
        data_wait=tally.waited / tally.seconds,
    )


def _first_images(data: ImageData) -> tuple[torch.Tensor, torch.Tensor]:
    images, labels = data.train.images[:_TRIED], data.train.labels[:_TRIED]
    return torch.from_numpy(images), torch.from_numpy(labels)


def _refuse_other(run: Run, data: DataFacts, augmentation: Augmentation) -> None:
    """Raise unless data and augmentation are the run's."""
    if (data.train_hash, data.test_hash) != (run.config.data.train_hash, run.config.data.test_hash):
        raise UsageError(
            f"{run.folder} can't be resumed: {run.config.data_source} holds other images than before",
            expected=f"SHA-256 {_hashes(run.config.data)}",
            found=_hashes(data),
        )
    before = json.dumps(to_dict(run.augmentation)) if run.augmentation else "none"
    if json.dumps(to_dict(augmentation)) != before:
        raise UsageError(
            f"{run.folder} can't be resumed: this version augments in another way",
            expected=run.augmentation.library if run.augmentation else "no augmentation",
            found=augmentation.library,
            hint="install the versions in its environment.json",
        )


def _hashes(data: DataFacts) -> str:
    return f"{data.train_hash[:12]} (train), {data.test_hash[:12]} (test)"
