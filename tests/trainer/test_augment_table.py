"""What a pipeline does, transform by transform."""

from dataclasses import replace

import pytest

from cifar_report.trainer.augment import load_albumentations, pipeline_of_texts
from cifar_report.trainer.augment_source import load_pipeline
from cifar_report.trainer.augment_table import tabulate
from cifar_report.trainer.images import facts

A = load_albumentations()


@pytest.fixture
def described(data):
    return facts(data)


def table(texts, described, **how):
    return tabulate(pipeline_of_texts(texts, described, **how), described)


def test_a_classic_spelling_stands_beside_what_it_means(described):
    (row, normalize) = table(["ShiftScaleRotate(shift_limit=0.1, rotate_limit=30, p=0.7)"], described)
    assert row.written == "ShiftScaleRotate(shift_limit=0.1, rotate_limit=30, p=0.7)"
    assert str(row) == (
        "Affine(p=0.7, balanced_scale=False, border_mode=cv2.BORDER_REFLECT_101, fill=0, fit_output=False, "
        "interpolation=cv2.INTER_LINEAR, keep_ratio=False, rotate=(-30, 30), rotate_method='largest_box', "
        "scale={'x': (0.9, 1.1), 'y': (0.9, 1.1)}, shear={'x': (0, 0), 'y': (0, 0)}, "
        "translate_percent={'x': (-0.1, 0.1), 'y': (-0.1, 0.1)}, translate_px=None)"
    )
    assert row.changes == (
        "ShiftScaleRotate is an Affine; a scale of 1 is unchanged",
        "without border_mode it reflected at the border; albumentations 2 would fill it black",
    )
    assert (row.twin, row.no_twin, row.left_out) == (True, "", "")
    assert (normalize.written, normalize.name, normalize.parameters["mean"]) == (
        "",
        "Normalize",
        described.mean,
    )


def test_what_stands_in_the_table_can_be_written_in_python(described):
    import cv2

    texts = ["PadIfNeeded(40, 40)", "RandomCrop(32, 32)", "CoarseDropout(max_holes=2, fill_value=0.5)"]
    for row in table([*texts, "RandomBrightness()", "Normalize(0.5, 0.25)"], described):
        made = eval(f"A.{row}", {"A": A, "cv2": cv2})
        record = made.to_dict()["transform"]
        assert record.pop("__class_fullname__") == row.name
        # albumentations lists it, and takes it from nobody.
        record.pop("padding", None)
        assert record == row.parameters


def test_a_transform_without_a_twin_says_why(described):
    rows = table(["HorizontalFlip", "GaussianBlur", "ToGray(method='average')"], described)
    assert [row.twin for row in rows] == [True, False, False, True]
    assert rows[1].no_twin == "GaussianBlur has no batched twin"
    assert "method='average'" in rows[2].no_twin


def test_twins_are_asked_for_images_as_they_come_out_of_the_transform_before(described):
    """A crop to 36 pixels has a twin where images were made larger first."""
    rows = table(["Resize(40, 40)", "RandomCrop(36, 36)", "Resize(32, 32)"], described)
    assert [row.twin for row in rows] == [False, True, False, True]


def test_what_is_left_out_is_in_its_place_with_the_reason(described):
    texts = ["ToGray(p=0.1)", "HorizontalFlip", "RandomCrop(32, 32)", "ToTensorV2"]
    rows = table(texts, replace(described, image_shape=(1, 32, 32), mean=(0.5,), std=(0.2,)), mirror=False)
    assert [row.name for row in rows] == ["ToGray", "HorizontalFlip", "RandomCrop", "ToTensorV2", "Normalize"]
    assert [row.left_out for row in rows] == [
        "the images are gray already",
        "mirrored or turned, these are other signs",
        "",
        "tensors are made in any case",
        "",
    ]
    assert [row.parameters == {} for row in rows] == [True, True, False, True, False]


def test_what_is_left_out_is_checked_all_the_same(described):
    from cifar_report.analyzer.errors import UsageError

    with pytest.raises(UsageError, match="flip_limit"):
        table(["HorizontalFlip(flip_limit=3)"], described, mirror=False)


def test_transforms_within_others_are_shown(described, tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "import albumentations as A\ntrain = A.Compose([A.OneOf([A.ToGray(p=1), A.NoOp(p=2/3)])])\n"
    )
    row, _ = tabulate(load_pipeline(str(path), described), described)
    assert row.written == ""
    gray = "ToGray(p=1, method='weighted_average', num_output_channels=3)"
    assert str(row) == f"OneOf(p=0.5, transforms=[{gray}, NoOp(p=0.6667)])"
    assert row.no_twin == "OneOf has no batched twin"
