"""Losses, mixing and distillation against torch's own functions."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from cifar_report.trainer.mixing import Batch, mix
from cifar_report.trainer.objective import cross_entropies, distillation, hits


@pytest.fixture
def batch():
    rng = np.random.default_rng(3)
    images = torch.from_numpy(rng.integers(0, 256, (12, 8, 8, 3), dtype=np.uint8))
    return Batch(images, torch.arange(12) % 4)


@pytest.fixture
def scores():
    return torch.randn(12, 4, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("smoothing", [0.0, 0.05, 0.3])
def test_cross_entropy_is_torchs_with_and_without_smoothing(batch, scores, smoothing):
    objective, plain = cross_entropies(scores, batch, smoothing)
    expected = functional.cross_entropy(scores, batch.labels, label_smoothing=smoothing)
    assert objective.item() == pytest.approx(expected.item(), rel=1e-5)
    assert plain.item() == pytest.approx(functional.cross_entropy(scores, batch.labels).item(), rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_mixed_images_have_both_classes_by_their_shares(batch, scores, smoothing):
    mixed = Batch(batch.images, batch.labels, batch.labels.flip(0), 0.3)
    both = [functional.one_hot(labels, 4).float() for labels in (mixed.labels, mixed.partners)]
    wanted = 0.3 * both[0] + 0.7 * both[1]
    objective, _ = cross_entropies(scores, mixed, smoothing)
    expected = functional.cross_entropy(scores, wanted, label_smoothing=smoothing)
    assert objective.item() == pytest.approx(expected.item(), rel=1e-5)
    guessed = functional.one_hot(scores.argmax(dim=1), 4).float()
    assert hits(scores, mixed).item() == pytest.approx((guessed * wanted).sum().item(), rel=1e-5)


def test_nothing_is_mixed_unless_asked(batch):
    assert mix(batch, 0.0, 0.0, (1, 2, 3)) is batch


def test_mixup_is_the_weighted_mean_of_two_images_of_the_batch(batch):
    mixed = mix(batch, 1.0, 0.0, (1, 2, 3))
    images = batch.images.float()
    for index in range(12):
        fits = [
            other
            for other in range(12)
            if torch.allclose(
                mixed.images[index],
                mixed.share * images[index] + (1 - mixed.share) * images[other],
                atol=1e-3,
            )
        ]
        assert mixed.partners[index] in batch.labels[fits]
    assert 0 < mixed.share < 1


@pytest.mark.parametrize("step", range(8))
def test_cutmix_pastes_a_rectangle_whose_area_is_the_share(batch, step):
    mixed = mix(batch, 0.0, 1.0, (1, 2, step))
    kept = (mixed.images == batch.images).all(dim=3).all(dim=0)
    assert mixed.images.dtype == torch.uint8
    rows, columns = (~kept).any(dim=1), (~kept).any(dim=0)
    # Noise differs everywhere, unless an image is its own partner, which not all of them are.
    assert int((~kept).sum()) == int(rows.sum()) * int(columns.sum())
    assert mixed.share == pytest.approx(float(kept.float().mean()))


def test_the_same_key_mixes_in_the_same_way_and_another_in_another(batch):
    first, again, other = (mix(batch, 1.0, 1.0, (0, 1, step)) for step in (1, 1, 2))
    assert torch.equal(first.images, again.images)
    assert first.share == again.share
    assert first.share != other.share


def test_shares_are_beta_distributed(batch):
    shares = np.array([mix(batch, 0.4, 0.0, (0, 0, step)).share for step in range(2000)])
    assert shares.mean() == pytest.approx(0.5, abs=0.03)
    # Variance of Beta(a, a) is 1 / (4 (2a + 1)).
    assert shares.var() == pytest.approx(1 / (4 * 1.8), abs=0.01)


def test_distillation_is_the_divergence_between_softened_probabilities(scores):
    teacher = scores.flip(0)
    p, q = (torch.softmax(values / 4.0, dim=1) for values in (teacher, scores))
    expected = 16 * (p * (p / q).log()).sum(dim=1).mean()
    assert distillation(scores, teacher, 4.0).item() == pytest.approx(expected.item(), rel=1e-4)
    assert distillation(scores, scores, 4.0).item() == pytest.approx(0.0, abs=1e-6)
