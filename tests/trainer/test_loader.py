"""Batches: complete, apart from each other, and the same however many workers make them."""

import numpy as np
import pytest
import torch

from cifar_report.trainer.augment import Augmenter, assignment_pipeline
from cifar_report.trainer.images import facts
from cifar_report.trainer.loader import AugmentedImages, EpochPlan, make_loader, without_lost_connections


@pytest.fixture
def augmenter(data):
    return Augmenter(assignment_pipeline(facts(data), mirror=True))


def batches(data, augmenter, workers, epochs, seed=0):
    plan = EpochPlan(len(data.train.labels), 8, seed)
    loader = make_loader(AugmentedImages(data.train, augmenter), plan, workers)
    made = []
    for epoch in epochs:
        plan.epoch = epoch
        made += [(images.clone(), labels.clone()) for images, labels in loader]
    return made


def same(these, those):
    return len(these) == len(those) and all(
        torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(these, those, strict=True)
    )


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 17, 40])
def test_an_epoch_holds_every_image_once_and_no_batch_of_one(count):
    plan = EpochPlan(count, 8, seed=3)
    made = [batch.indices for batch in plan]
    assert sorted(np.concatenate(made).tolist()) == list(range(count))
    assert len(made) == len(plan)
    assert min(map(len, made)) > 1 or count == 1
    assert max(map(len, made)) <= 9


def test_two_workers_make_what_none_makes(data, augmenter):
    assert same(batches(data, augmenter, 2, [1, 2]), batches(data, augmenter, 0, [1, 2]))


def test_an_epoch_alone_is_what_it_is_after_others(data, augmenter):
    assert same(batches(data, augmenter, 0, [1, 2, 3])[10:], batches(data, augmenter, 0, [3]))


def test_another_seed_gives_other_batches(data, augmenter):
    assert not same(batches(data, augmenter, 0, [1]), batches(data, augmenter, 0, [1], seed=1))


def test_no_two_batches_of_many_epochs_share_a_stream():
    plan = EpochPlan(40, 8, seed=0)
    seeds = []
    for epoch in range(1, 21):
        plan.epoch = epoch
        seeds += [batch.seed for batch in plan]
    draws = {tuple(np.random.SeedSequence(seed).generate_state(4)) for seed in seeds}
    assert len(draws) == len(seeds) == 100


def test_one_image_looks_different_in_each_epoch(data, augmenter):
    """A plain image stays itself only where no transform but a flip or ToGray hits: a quarter of the time."""
    seen = [torch.cat([images for images, _ in batches(data, augmenter, 1, [e])]) for e in range(1, 9)]
    distinct = {image.numpy().tobytes() for epoch in seen for image in epoch}
    assert len(distinct) > 0.75 * 8 * 40


def test_a_worker_says_nothing_of_a_parent_that_went_away_but_everything_else():
    said: list[BaseException] = []
    hook = without_lost_connections(lambda kind, error, traceback: said.append(error))
    for error in (ConnectionResetError(), BrokenPipeError(), EOFError(), ValueError("a bug")):
        hook(type(error), error, None)
    assert [type(error) for error in said] == [ValueError]
