from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.program import call

run = partial(call, "augment")

CLASSIC = [
    "HorizontalFlip(p=0.3)",
    "ShiftScaleRotate(shift_limit=0.1, scale_limit=0.2, rotate_limit=30)",
    "CoarseDropout(max_holes=1, max_height=16, max_width=16, fill_value=(.5, .4, .2), mask_fill_value=None)",
]
PYTHON = "import albumentations as A\n"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with pictures of two classes and an assignment."""
    draw = np.random.default_rng(0)
    for split, count in (("train", 5), ("test", 2)):
        for name in ("cat", "dog"):
            folder = tmp_path / "pictures" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = draw.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{index}.png")
    lines = ['id = "mine"', 'title = "Mine"', 'constraints = ["params < 100k"]']
    (tmp_path / "mine.toml").write_text("\n".join([*lines, f"augmentation = {json.dumps(CLASSIC)}"]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def table(*arguments: str | int) -> dict[str, object]:
    result = run(*arguments, "--format", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)  # type: ignore[no-any-return]


def test_the_table_says_what_was_written_and_what_is_in_force() -> None:
    found = table("mine.toml", "--data", "pictures")
    assert (found["data"], found["image_shape"], found["with"]) == ("pictures", [3, 32, 32], "torch")
    flip, affine, dropout, normalize = found["transforms"]  # type: ignore[misc]
    assert [row["written"] for row in (flip, affine, dropout, normalize)] == [*CLASSIC, ""]
    assert flip["parameters"] == {"p": 0.3}
    expected = {
        "translate_percent": {"x": [-0.1, 0.1], "y": [-0.1, 0.1]},
        "scale": {"x": [0.8, 1.2], "y": [0.8, 1.2]},
        "rotate": [-30, 30],
        "border_mode": 4,
        "p": 0.5,
    }
    assert affine["name"] == "Affine"
    assert {name: affine["parameters"][name] for name in expected} == expected
    expected = {
        "num_holes_range": [1, 1],
        "hole_height_range": [16, 16],
        "hole_width_range": [16, 16],
        "fill": [128, 102, 51],
        "fill_mask": None,
        "p": 0.5,
    }
    assert dropout["parameters"] == expected
    assert normalize["name"] == "Normalize"
    assert all(row["twin"] for row in (flip, affine, dropout, normalize))


def test_the_table_for_readers_has_the_same_in_words() -> None:
    result = run("mine.toml", "--data", "pictures")
    assert result.exit_code == 0, result.stderr
    assert "Images of pictures, 32x32, 3 channels; batched torch operations augment" in result.stdout
    head = next(line for line in result.stdout.splitlines() if "In force" in line)
    assert head.split("  ")[0] == "Written"
    for text in ("cv2.BORDER_REFLECT_101", "ShiftScaleRotate is an Affine", "(128, 102, 51)", "(added)"):
        assert text in " ".join(result.stdout.split()), text
    assert result.stdout.rstrip().endswith("runs/augmentation-pictures-mine-toml.png")
    assert Path("runs/augmentation-pictures-mine-toml.png").is_file()
    assert "10 training images" not in result.stderr  # there are eight: four of each class
    assert "8 training images in columns" in result.stderr
    assert "5 random draws of HorizontalFlip, Affine and CoarseDropout" in result.stderr


def tiles(path: str, rows: int, columns: int) -> np.ndarray:
    """Return the pictures in a picture, (rows, columns, 32, 32, 3): each pixel's middle at 144 dpi."""
    with Image.open(path) as file:
        picture = np.asarray(file.convert("RGB"))
    middles = (np.arange(32) + 0.5) / 32 * 0.76
    found = np.empty((rows, columns, 32, 32, 3), dtype=np.uint8)
    for row in range(rows):
        for column in range(columns):
            y = (144 * (0.15 + 0.79 * row + middles)).astype(int)
            x = (144 * (0.15 + 0.72 + 0.79 * column + middles)).astype(int)
            found[row, column] = picture[y][:, x]
    return found


@pytest.mark.parametrize("back_end", ["torch", "albumentations"])
def test_the_picture_has_the_images_and_what_the_pipeline_makes_of_them_under_the_seed(back_end: str) -> None:
    from cifar_report.trainer.augment import Augmenter, pipeline_of_texts
    from cifar_report.trainer.data import load_data
    from cifar_report.trainer.images import facts
    from cifar_report.trainer.listen import Listener
    from cifar_report.trainer.twins import TwinAugmenter, make_twins

    how = ("--seed", 3, "--images", 4, "--draws", 3, "--with", back_end, "--out", "grid.png")
    assert table("mine.toml", "--data", "pictures", *how)["picture"] == "grid.png"
    found = tiles("grid.png", 4, 4)

    data = load_data("pictures", Listener())
    compose = pipeline_of_texts(CLASSIC, facts(data)).compose
    indices = np.array([0, 2, 5, 7])  # every second one of the first four of each class
    before = data.train.images[indices]
    assert (found[0] == before).all()
    augment = (
        TwinAugmenter(make_twins(compose.transforms[:-1], (3, 32, 32)), 10)
        if back_end == "torch"
        else Augmenter(compose)
    )
    for draw in range(3):
        assert (found[1 + draw] == augment(before, indices, (3, draw, 2))).all()
    assert len({tile.tobytes() for tile in found[1:].reshape(-1, 32, 32, 3)}) > 6


def test_none_shows_images_as_they_are() -> None:
    found = table("none", "--data", "pictures", "--images", 2, "--draws", 1, "--out", "grid.png")
    assert [row["name"] for row in found["transforms"]] == ["Normalize"]  # type: ignore[attr-defined]
    before, after = tiles("grid.png", 2, 2)
    assert (before == after).all()


def test_without_anything_it_shows_the_usual_augmentation_of_the_digits() -> None:
    result = run()
    assert result.exit_code == 0, result.stderr
    assert "HorizontalFlip(p=0.3)" in result.stdout
    assert "left out: mirrored or turned, these" in result.stdout
    assert result.stdout.rstrip().endswith("runs/augmentation-digits.png")


def test_a_compose_of_a_python_file_has_no_other_spelling(place: Path) -> None:
    (place / "mine.py").write_text(f"{PYTHON}train = A.Compose([A.GaussianBlur(p=0.2)])\n")
    result = run("mine.py:train", "--data", "pictures")
    assert result.exit_code == 0, result.stderr
    assert "Written" not in result.stdout
    assert "GaussianBlur has no batched twin" in result.stdout
    assert "albumentations augments (GaussianBlur has no batched twin" in " ".join(result.stdout.split())


IGNORED = "train = A.Compose([A.CoarseDropout(max_holes=1, max_height=16, max_width=16)])\n"


@pytest.mark.parametrize(
    ("arguments", "text", "said"),
    [
        (["mine.py"], IGNORED, "CoarseDropout would ignore max_holes, max_height, max_width"),
        (["mine.py"], IGNORED, "num_holes_range=(1, 1), hole_height_range=(16, 16)"),
        (["mine.py:other"], "train = A.Compose([A.ToGray()])\n", "mine.py has no other"),
        (["mine.py", "--with", "torch"], "train = A.Compose([A.GaussianBlur()])\n", "GaussianBlur has no"),
        (["mine.py"], "1 / 0", "mine.py fails"),
        (["eva6-s8"], "", "did you mean eva6-s7"),
        (["era-s8"], "", "says nothing about augmentation"),
        (["mine.toml", "--out", "grid.jpg"], "", "ends in .png"),
        (["mine.toml", "--out", "nowhere/grid.png"], "", "can't write nowhere/grid.png"),
        (["mine.toml", "--data", "elsewhere"], "", "no data folder elsewhere"),
        (["mine.toml", "--images", "0"], "", "--images"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(
    place: Path, arguments: list[str], text: str, said: str
) -> None:
    (place / "mine.py").write_text(PYTHON + text)
    result = run(*arguments, *([] if "--data" in arguments else ["--data", "pictures"]))
    assert result.exit_code == 2
    assert result.stdout == ""
    assert said in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
    assert not list(place.rglob("grid.*"))
    assert not (place / "runs").exists()


def test_where_runs_is_no_folder_another_place_is_asked_for(place: Path) -> None:
    (place / "runs").write_text("not a folder\n")
    result = run("none", "--data", "pictures", "--images", 1, "--draws", 1)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "choose another with --out" in result.stderr
    assert (place / "runs").read_text() == "not a folder\n"
