"""Batches: complete, apart from each other, and the same however many workers make them."""

import numpy as np
import pytest
import torch

from cifar_report.trainer.augment import assignment_pipeline
from cifar_report.trainer.feed import make_feed
from cifar_report.trainer.images import facts
from cifar_report.trainer.loader import without_lost_connections
from cifar_report.trainer.plan import EpochPlan


@pytest.fixture(params=["torch", "albumentations"])
def batches(request, data):
    """Return a function that makes the batches of some epochs."""

    def make(epochs, seed=0, workers=0, rank=0, world_size=1, batch_size=8):
        plan = EpochPlan(len(data.train.labels), batch_size, seed, rank, world_size)
        pipeline = assignment_pipeline(facts(data), mirror=True)
        feed = make_feed(data.train, pipeline, plan, back_end=request.param, workers=workers)
        assert feed.back_end == request.param
        return [(images.clone(), labels.clone()) for epoch in epochs for images, labels in feed.epoch(epoch)]

    return make


def same(these, those):
    return len(these) == len(those) and all(
        torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(these, those, strict=True)
    )


@pytest.mark.parametrize("count", [1, 7, 8, 9, 16, 17, 40])
def test_an_epoch_holds_every_image_once_and_no_batch_of_one(count):
    plan = EpochPlan(count, 8, seed=3)
    made = [batch.indices for batch in plan]
    assert [len(batch) for batch in made] == plan.sizes()
    assert sorted(np.concatenate(made).tolist()) == list(range(count))
    assert len(made) == len(plan)
    assert min(map(len, made)) > 1 or count == 1
    assert max(map(len, made)) <= 9


@pytest.mark.parametrize("world_size", [2, 3])
def test_the_parts_of_several_processes_are_the_batch_of_one(batches, world_size):
    whole = batches([1, 2])
    parts = [batches([1, 2], rank=rank, world_size=world_size) for rank in range(world_size)]
    together = [tuple(map(torch.cat, zip(*batch, strict=True))) for batch in zip(*parts, strict=True)]
    assert same(together, whole)


@pytest.mark.parametrize("count", [17, 19, 40, 43])
def test_each_of_several_processes_gets_two_images_of_each_batch(count):
    plans = [EpochPlan(count, 8, seed=3, rank=rank, world_size=2) for rank in (0, 1)]
    assert min(len(batch.indices) for plan in plans for batch in plan) >= 2
    assert sum(len(batch.indices) for plan in plans for batch in plan) == count


@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")  # on a machine with one core
def test_two_workers_make_what_none_makes(batches):
    assert same(batches([1, 2], workers=2), batches([1, 2]))


def test_an_epoch_alone_is_what_it_is_after_others(batches):
    assert same(batches([1, 2, 3])[10:], batches([3]))


def test_another_seed_gives_other_batches(batches):
    assert not same(batches([1]), batches([1], seed=1))


def test_the_batch_size_changes_no_image(batches):
    first, second = (torch.cat([images for images, _ in batches([2], batch_size=size)]) for size in (5, 20))
    assert torch.equal(first, second)


def test_a_worker_says_nothing_of_a_parent_that_went_away_but_everything_else():
    said: list[BaseException] = []
    hook = without_lost_connections(lambda kind, error, traceback: said.append(error))
    for error in (ConnectionResetError(), BrokenPipeError(), EOFError(), ValueError("a bug")):
        hook(type(error), error, None)
    assert [type(error) for error in said] == [ValueError]
