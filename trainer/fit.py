"""Training a network on a data set: from the recipe to a complete run folder."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path

from torch import nn

from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.errors import ModelError
from cifar_report.trainer import checkpoint
from cifar_report.trainer.atomic import remove_partial, write_json, write_text
from cifar_report.trainer.checkpoint import State
from cifar_report.trainer.claim import Claim, claimed
from cifar_report.trainer.environment import describe_environment
from cifar_report.trainer.epoch import Tally, train_epoch
from cifar_report.trainer.evaluate import Evaluation, evaluate, make_metrics, with_mirror_images
from cifar_report.trainer.events import event_log, require_tensorboard
from cifar_report.trainer.images import ImageData
from cifar_report.trainer.listen import Listener
from cifar_report.trainer.lock import locked
from cifar_report.trainer.options import Options, choose_device
from cifar_report.trainer.place import CONFIG_FILE
from cifar_report.trainer.results import Epoch, FlipTest
from cifar_report.trainer.run import Run, read_run
from cifar_report.trainer.samples import write_predictions, write_samples
from cifar_report.trainer.teacher import Teacher
from cifar_report.trainer.team import ALONE, Team
from cifar_report.trainer.work import Work, new_work, same_work


def train(
    module: nn.Module,
    data: ImageData,
    options: Options,
    folder: Path,
    listener: Listener,
    *,
    analysis: Analysis,
    teacher: Teacher | None = None,
) -> Run:
    """Train a network from its present weights and write the run folder.

    Reseeds the global random generators. An error before the first epoch is complete leaves no
    folder; a kill or Ctrl-C leaves one that `resume` goes on with.

    Args:
        module: takes (N, 3, 32, 32), returns logits or log-probabilities (N, classes); is trained.
        data: of `data.load_data`.
        options: what to train with.
        folder: a new or empty one; with `options.overwrite`, a run's.
        listener: hears of the steps.
        analysis: of the module, stored in the run.
        teacher: to learn from besides.

    Raises:
        UsageError: the folder can't be written, or the device isn't there.
        ModelError: the network doesn't fit the data, fails, or its loss is not finite.
    """
    with claimed(folder, listener, overwrite=options.overwrite) as claim:
        return begin(module, data, options, claim, listener, analysis=analysis, teacher=teacher)


def begin(
    module: nn.Module,
    data: ImageData,
    options: Options,
    claim: Claim,
    listener: Listener,
    *,
    analysis: Analysis,
    teacher: Teacher | None = None,
    team: Team = ALONE,
) -> Run:
    """Do what `train` does in a claimed folder. All of a team call this, the leader writes."""
    if options.tensorboard:
        require_tensorboard()
    work = new_work(module, data, options, teacher, team, listener)
    state = checkpoint.take(work.trainee, ())
    if team.leads:
        for note in work.notes:
            listener.note(note)
        with claim.filling() as folder:
            write_json(folder / "environment.json", describe_environment(work.config.device))
            write_json(folder / "augmentation.json", asdict(work.augmentation))
            write_text(folder / "analysis.json", analysis.to_json())
            write_samples(folder, work.data, work.feed.augment, work.config.seed, None)
            checkpoint.save(folder, state, work.config)
            write_json(folder / CONFIG_FILE, asdict(work.config))
    return _go_on(work, claim.folder, state, listener)


def resume(
    module: nn.Module,
    data: ImageData,
    folder: Path,
    listener: Listener,
    *,
    workers: int | None = None,
    teacher: Teacher | None = None,
    team: Team = ALONE,
) -> Run:
    """Go on with a run after its last complete epoch; it ends as if it had never stopped.

    Raises:
        UsageError: not a run, another process writes it, or the data, the device, the teacher or
            the augmentation are not what they were.
        ModelError: the network is not the run's, fails, or its loss is not finite.
    """
    with _held(folder, listener, team):
        run = read_run(folder)
        choose_device(run.config.device)
        work = same_work(module, data, run, teacher, workers, team, listener)
        if team.size != run.config.processes:
            begun = run.config.processes
            listener.note(f"{folder} began with {begun} processes, now {team.size}: not to the same bits")
        state = checkpoint.load(folder)
        checkpoint.restore(state, work.trainee)
        if team.leads:
            checkpoint.save_derived(folder, state, run.config)
        return _go_on(work, folder, state, listener)


@contextmanager
def _held(folder: Path, listener: Listener, team: Team) -> Iterator[None]:
    """Hold a run's folder, cleaned of half-written files, for the whole team."""
    with locked(folder, listener) if team.leads else nullcontext():
        if team.leads:
            remove_partial(folder)
        team.meet()
        yield


def _go_on(work: Work, folder: Path, state: State, listener: Listener) -> Run:
    """Train the epochs that are missing, then write what the finished run holds besides."""
    config, team = work.config, work.team
    judged = work.validation or work.data.test
    evaluation = None
    with event_log(folder, state.history, team.leads and config.extra.get("tensorboard", False)) as log:
        for number in range(len(state.history) + 1, config.epochs + 1):
            start = time.perf_counter()
            tally = train_epoch(work.trainee, work.feed, config, number, listener, team)
            evaluation = evaluate(work.judged, judged, team)
            seconds = time.perf_counter() - start
            entry = _entry(number, tally, evaluation, seconds, work.validation is not None)
            state = checkpoint.take(work.trainee, (*state.history, entry))
            if team.leads:
                checkpoint.save(folder, state, config)
                log(entry)
                listener.epoch(entry, config.epochs)
    if evaluation is None or work.validation:
        evaluation = evaluate(work.judged, work.data.test, team)
    flip_test = _flip_test(work, evaluation)
    if team.leads:
        _finish(work, folder, state.history, evaluation, flip_test)
    team.meet()
    return read_run(folder)


def _flip_test(work: Work, evaluation: Evaluation) -> FlipTest | None:
    if not work.config.flip_test:
        return None
    mirrored = evaluate(work.judged, work.data.test, work.team, mirrored=True)
    return with_mirror_images(evaluation, mirrored)


def _finish(
    work: Work, folder: Path, history: tuple[Epoch, ...], evaluation: Evaluation, flip_test: FlipTest | None
) -> None:
    """Write what there is only in the end; `metrics.json` says that the run is complete."""
    write_predictions(folder, evaluation)
    write_samples(folder, work.data, work.feed.augment, work.config.seed, evaluation)
    metrics = make_metrics(evaluation, work.data.classes, history, flip_test)
    write_json(folder / "metrics.json", asdict(metrics))


def _entry(number: int, tally: Tally, evaluation: Evaluation, seconds: float, held_out: bool) -> Epoch:
    if not math.isfinite(evaluation.loss):
        which = "validation" if held_out else "test"
        raise ModelError(
            f"training stopped: the {which} loss is {evaluation.loss} after epoch {number}",
            expected="a finite number",
            found=f"{evaluation.loss}, with a train loss of {tally.loss:.4g}",
            hint="a lower --lr, or --clip 1",
        )
    figures = (evaluation.loss, evaluation.accuracy, len(evaluation.labels))
    test, validation = ((None, None, 0), figures) if held_out else (figures, (None, None, 0))
    return Epoch(
        epoch=number,
        train_loss=tally.loss,
        train_accuracy=tally.accuracy,
        test_loss=test[0],
        test_accuracy=test[1],
        train_count=tally.count,
        test_count=test[2],
        learning_rate=tally.learning_rate,
        seconds=seconds,
        images_per_second=tally.count / tally.seconds,
        data_wait=tally.waited / tally.seconds,
        validation_loss=validation[0],
        validation_accuracy=validation[1],
        validation_count=validation[2],
    )
