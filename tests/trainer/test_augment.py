"""The assignment's pipeline as albumentations runs it."""

import numpy as np
import pytest

from cifar_report.trainer.augment import Augmenter, assignment_pipeline, describe, load_albumentations
from cifar_report.trainer.images import facts

A = load_albumentations()


@pytest.fixture
def described(data):
    return facts(data)


def only(pipeline, name):
    """Return a pipeline of one transform, always applied, and the Normalize."""
    chosen = next(t for t in pipeline.transforms if type(t).__name__ == name)
    chosen.p = 1.0
    return A.Compose([chosen, pipeline.transforms[-1]])


def test_the_transforms_in_force_are_the_assignments(described):
    rows = {t.name: t.parameters for t in describe(assignment_pipeline(described, mirror=True)).transforms}
    assert list(rows) == ["HorizontalFlip", "Affine", "CoarseDropout", "ToGray", "Normalize"]
    assert [rows[name]["p"] for name in rows] == [0.3, 0.5, 0.5, 0.1, 1.0]
    assert rows["CoarseDropout"]["num_holes_range"] == (1, 1)
    assert rows["CoarseDropout"]["hole_height_range"] == (16, 16)
    assert rows["CoarseDropout"]["fill"] == tuple(round(255 * value) for value in described.mean)
    assert rows["Normalize"]["mean"] == described.mean


def test_signs_are_not_mirrored(described):
    names = [t.name for t in describe(assignment_pipeline(described, mirror=False)).transforms]
    assert "HorizontalFlip" not in names
    assert len(names) == 4


def augmented(pipeline, images, key=(0,)):
    """Return what albumentations makes of images, numbered from 0."""
    return Augmenter(pipeline)(images, np.arange(len(images)), key)


def test_dropout_makes_one_hole_of_16x16_in_the_mean(described, data):
    pipeline = only(assignment_pipeline(described, mirror=True), "CoarseDropout")
    white = np.full((20, 32, 32, 3), 255, dtype=np.uint8)
    mean = tuple(round(255 * value) for value in described.mean)
    for image in augmented(pipeline, white):
        hole = (image == mean).all(axis=2)
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        assert hole.sum() == 256
        assert (np.ptp(rows), np.ptp(columns)) == (15, 15)
        assert (image[~hole] == 255).all()


def test_affine_is_the_assignments_shift_scale_rotate(described, data):
    import cv2

    with pytest.warns(UserWarning, match="special case of Affine"):
        classic = A.ShiftScaleRotate(
            shift_limit=0.1,
            scale_limit=0.1,
            rotate_limit=30,
            interpolation=cv2.INTER_LINEAR,
            border_mode=cv2.BORDER_REFLECT_101,
            p=1.0,
        )
    pipeline = assignment_pipeline(described, mirror=True)
    ours = augmented(only(pipeline, "Affine"), data.train.images, (4,))
    classic_pipeline = A.Compose([classic, pipeline.transforms[-1]])
    assert (augmented(classic_pipeline, data.train.images, (4,)) == ours).all()
    assert (ours != data.train.images).any(axis=(1, 2, 3)).all()


def test_the_same_seed_gives_the_same_images_and_another_gives_others(described, data):
    pipeline = assignment_pipeline(described, mirror=True)
    first, other = (augmented(pipeline, data.train.images, key) for key in ((1, 2), (1, 3)))
    assert (augmented(pipeline, data.train.images, (1, 2)) == first).all()
    assert (first != other).any()


def test_what_happens_to_an_image_is_its_own(described, data):
    """Not its batch's: any batch, in any order, makes the same of it."""
    pipeline = assignment_pipeline(described, mirror=True)
    whole = augmented(pipeline, data.train.images)
    some = np.array([31, 2, 17, 3])
    assert (Augmenter(pipeline)(data.train.images[some], some, (0,)) == whole[some]).all()


def test_transforms_are_drawn_independently(described):
    """Left to itself, albumentations greys only images that it also mirrors."""
    pipeline = assignment_pipeline(described, mirror=True)
    flip, gray = pipeline.transforms[0], pipeline.transforms[3]
    both = A.Compose([flip, gray, pipeline.transforms[-1]])
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    image[:, :16, 0] = 200
    out = augmented(both, np.repeat(image[None], 4000, axis=0), (9,))
    mirrored = out[:, 0, 31].any(axis=1)
    grey = out.max(axis=(1, 2, 3)) < 200
    for share, expected in ((mirrored, 0.3), (grey, 0.1), (mirrored & grey, 0.03)):
        deviation = np.sqrt(expected * (1 - expected) / len(out))
        assert abs(share.mean() - expected) < 4 * deviation


def test_left_alone_albumentations_does_couple_its_draws(described):
    """What `Augmenter` is there for; should a later version mend it, this says so."""
    pipeline = A.Compose([A.HorizontalFlip(p=0.3), A.ToGray(p=0.1)], seed=1, save_applied_params=True)
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    applied = [[name for name, _ in pipeline(image=image)["applied_transforms"]] for _ in range(300)]
    assert ["ToGray"] not in applied
    assert ["HorizontalFlip", "ToGray"] in applied


def test_the_last_transform_must_normalise(described):
    with pytest.raises(ValueError, match="ends in ToGray"):
        Augmenter(A.Compose([A.HorizontalFlip(), A.ToGray()]))
