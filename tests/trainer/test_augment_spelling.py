"""What was written for a transform, and what is in force."""

import subprocess
import sys

import numpy as np
import pytest

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.augment import Augmenter, describe, pipeline_of_texts
from cifar_report.trainer.augment_source import load_pipeline
from cifar_report.trainer.images import facts

MEAN = (0.4914, 0.4822, 0.4465)


@pytest.fixture
def described(data):
    return facts(data)


def in_force(text, described):
    """Return the transform's name and parameters as albumentations holds them."""
    pipeline = pipeline_of_texts([text], described)
    first = describe(pipeline.compose).transforms[0]
    return first.name, first.parameters, pipeline


CLASSIC = [
    ("HorizontalFlip(p=0.3)", "HorizontalFlip", {"p": 0.3}),
    (
        "ShiftScaleRotate(shift_limit=0.1, scale_limit=0.1, rotate_limit=30, interpolation=cv2.INTER_LINEAR, "
        "border_mode=cv2.BORDER_REFLECT_101, always_apply=False, p=0.5)",
        "Affine",
        {
            "translate_percent": {"x": (-0.1, 0.1), "y": (-0.1, 0.1)},
            "scale": {"x": (0.9, 1.1), "y": (0.9, 1.1)},
            "rotate": (-30, 30),
            "border_mode": 4,
            "interpolation": 1,
            "p": 0.5,
        },
    ),
    ("ShiftScaleRotate()", "Affine", {"border_mode": 4, "rotate": (-45, 45), "p": 0.5}),
    (
        "CoarseDropout(max_holes=1, max_height=16, max_width=16, min_holes=1, min_height=16, min_width=16, "
        "fill_value=(0.4914, 0.4822, 0.4465), mask_fill_value=None)",
        "CoarseDropout",
        {
            "num_holes_range": (1, 1),
            "hole_height_range": (16, 16),
            "hole_width_range": (16, 16),
            "fill": (125, 123, 114),
            "p": 0.5,
        },
    ),
    (
        "A.CoarseDropout(max_holes=3, min_holes=1, max_height=4, max_width=4, p=1)",
        "CoarseDropout",
        {"num_holes_range": (1, 3), "hole_height_range": (4, 4), "hole_width_range": (4, 4), "p": 1.0},
    ),
    ("Cutout(num_holes=1, max_h_size=16, max_w_size=8, fill_value=7)", "CoarseDropout",
     {"num_holes_range": (1, 1), "hole_height_range": (16, 16), "hole_width_range": (8, 8), "fill": 7}),
    ("ToGray()", "ToGray", {"p": 0.5}),
    ("ToGray", "ToGray", {"p": 0.5}),
    ("ToGray(always_apply=True)", "ToGray", {"p": 1.0}),
    ("Rotate(limit=7, value=0, border_mode=cv2.BORDER_CONSTANT)", "Rotate",
     {"limit": (-7, 7), "border_mode": 0, "fill": 0}),
    ("Rotate(7)", "Rotate", {"limit": (-7, 7), "border_mode": 4}),
    ("GaussNoise(var_limit=(0, 2601))", "GaussNoise", {"std_range": (0, 0.2)}),
    ("RandomBrightness(limit=0.3)", "RandomBrightnessContrast",
     {"brightness_limit": (-0.3, 0.3), "contrast_limit": (0, 0)}),
]  # fmt: skip


@pytest.mark.parametrize(("text", "name", "parameters"), CLASSIC)
def test_a_classic_spelling_has_its_meaning_in_force(described, text, name, parameters):
    found_name, found, _ = in_force(text, described)
    assert found_name == name
    assert {key: found[key] for key in parameters} == parameters


def test_holes_without_a_fill_have_the_datas_mean(described):
    _, found, pipeline = in_force("CoarseDropout(max_holes=1)", described)
    assert found["fill"] == tuple(round(255 * level) for level in described.mean)
    assert any("without a fill" in note for note in pipeline.spelt[0].call.notes)


def test_padding_reflects_as_it_did(described):
    texts = ["PadIfNeeded(min_height=40, min_width=40)", "RandomCrop(32, 32)"]
    pipeline = pipeline_of_texts(texts, described).compose
    assert pipeline.transforms[0].border_mode == 4
    white = np.full((4, 32, 32, 3), 255, dtype=np.uint8)
    assert (Augmenter(pipeline)(white, np.arange(4), (0,)) == 255).all()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CoarseDropout(max_holes=1, max_width=1, min_width=16)", "min_width=16 is above max_width=1"),
        ("HorizontalFlip(probability=1)", "HorizontalFlip would ignore probability(?s:.*)some of p"),
        ("HorizontalFlop(p=1)", "no transform HorizontalFlop(?s:.*)HorizontalFlip"),
        ("HorizontalFlip(p=2)", "refuses HorizontalFlip"),
        ("HorizontalFlip(p=chance)", "can't read(?s:.*)found:    chance"),
        ("HorizontalFlip(p=0.3", "can't read"),
        ("open('x').read()", "no transform|can't read"),
        ("RandomCrop(28, 28)", "makes images of 28x28"),
        ("Compose([])", "can't read|no transform"),
    ],
)
def test_what_means_nothing_is_refused(described, text, message):
    with pytest.raises(UsageError, match=message):
        pipeline_of_texts([text], described)


def test_what_comes_after_normalize_is_refused(described):
    with pytest.raises(UsageError, match="CoarseDropout works on normalised values"):
        pipeline_of_texts(["Normalize()", "CoarseDropout(max_holes=1)"], described)


def test_signs_are_not_turned(described):
    pipeline = pipeline_of_texts(["HorizontalFlip()", "Transpose()", "ToGray()"], described, mirror=False)
    assert [part.name for part in describe(pipeline.compose).transforms] == ["ToGray", "Normalize"]
    assert "without HorizontalFlip, Transpose" in pipeline.notes[0]


HEAD = "import albumentations as A\nimport cv2\n"


def written(path, text):
    path.write_text(HEAD + text)
    return str(path)


def test_a_compose_of_a_python_file(described, tmp_path):
    text = "train = A.Compose([A.HorizontalFlip(p=0.25), A.Normalize(mean=(0.5,) * 3, std=(0.25,) * 3)])"
    pipeline = load_pipeline(written(tmp_path / "mine.py", text), described).compose
    assert pipeline.transforms[0].p == 0.25
    assert pipeline.transforms[1].mean == (0.5, 0.5, 0.5)


def test_a_pipeline_without_normalize_gets_the_datas(described, tmp_path):
    source = written(tmp_path / "mine.py", "augmentation = [A.HorizontalFlip(p=0.25)]")
    assert load_pipeline(source, described).compose.transforms[-1].mean == described.mean


def test_an_argument_that_albumentations_would_ignore_is_refused_with_what_to_write(described, tmp_path):
    text = (
        "train = A.Compose([A.CoarseDropout(max_holes=1, max_height=16, max_width=16, fill_value=(0.5,)*3)])"
    )
    with pytest.raises(UsageError, match="CoarseDropout would ignore max_holes, max_height"):
        load_pipeline(written(tmp_path / "mine.py", text), described)
    text = "train = A.Compose([A.OneOf([A.CoarseDropout(max_holes=1, max_height=16, max_width=16)])])"
    with pytest.raises(UsageError) as caught:
        load_pipeline(written(tmp_path / "mine.py", text), described)
    assert "line 3: A.CoarseDropout(num_holes_range=(1, 1), hole_height_range=(16, 16)" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "no pipeline"),
        ("a = A.Compose([])\nb = A.Compose([])", "several pipelines(?s:.*)a, b"),
        ("raise ValueError('broken')", "fails(?s:.*)ValueError: broken"),
        ("train = A.Compose([A.HorizontalFlip()], p=0.5)", "as a whole has a probability"),
        ("train = A.Compose([A.RandomCrop(64, 64)])", "fails on an image"),
    ],
)
def test_a_file_that_has_no_pipeline_says_so(described, tmp_path, text, message):
    with pytest.raises(UsageError, match=message):
        load_pipeline(written(tmp_path / "mine.py", text), described)


def test_names_choose_among_several(described, tmp_path):
    text = "test = A.Compose([])\ntrain_transform = A.Compose([A.HorizontalFlip(p=0.125)])"
    source = written(tmp_path / "mine.py", text)
    assert load_pipeline(source, described).compose.transforms[0].p == 0.125
    assert len(load_pipeline(f"{source}:test", described).compose.transforms) == 1


def test_an_assignment_brings_its_augmentation(described):
    names = [part.name for part in describe(load_pipeline("eva6-s7", described).compose).transforms]
    assert names == ["HorizontalFlip", "Affine", "CoarseDropout", "Normalize"]
    own = {"augmentation": ["ToGray(p=0.25)"]}
    assert load_pipeline("", described, assignment=own).compose.transforms[0].p == 0.25
    assert len(load_pipeline("none", described, assignment=own).compose.transforms) == 1
    with pytest.raises(UsageError, match="era-s8 says nothing about augmentation"):
        load_pipeline("era-s8", described)


def test_importing_asks_nobody_whether_it_is_out_of_date(tmp_path):
    """The question would go through urllib."""
    code = (
        "import urllib.request\n"
        "def refuse(*a, **k): raise SystemExit('asked')\n"
        "urllib.request.OpenerDirector.open = refuse\n"
        "from cifar_report.trainer.augment_library import load_albumentations\n"
        "load_albumentations()\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PATH": ""})
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ("normalization='image'", "normalization='image'"),
        ("p=0.5", "p=0.5"),
        ("max_pixel_value=1.0", "max_pixel_value=1.0"),
    ],
)
def test_a_normalize_that_test_images_could_not_have_is_refused(described, how, found):
    with pytest.raises(UsageError, match="same mean and deviation") as refused:
        pipeline_of_texts([f"Normalize({how})"], described)
    assert refused.value.found == found
