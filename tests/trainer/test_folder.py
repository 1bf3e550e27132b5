"""Image folders, good and bad."""

import numpy as np
import pytest
from PIL import Image

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.data import load_data


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(3)
    for split, count in (("train", 4), ("test", 2)):
        for name in ("cat", "dog"):
            for number in range(count):
                pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
                write(tmp_path / split / name / f"{number}.png", pixels)
    return tmp_path


def test_pixels_and_labels_are_those_of_the_files(folder, notes):
    data = load_data(str(folder), notes)
    assert data.classes == ("cat", "dog")
    assert data.train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert data.test.labels.tolist() == [0, 0, 1, 1]
    third_dog = np.asarray(Image.open(folder / "train" / "dog" / "2.png"))
    assert (data.train.images[6] == third_dog).all()
    assert notes.notes == []
    assert notes.works[-1] == ("reading images", 12, 12)


def test_other_sizes_are_resized_with_a_notice(folder, notes):
    write(folder / "train" / "cat" / "large.jpg", np.full((48, 96, 3), 200, dtype=np.uint8))
    data = load_data(str(folder), notes)
    assert data.train.images[4].shape == (32, 32, 3)
    assert abs(data.train.images[4].astype(int) - 200).max() <= 2
    assert notes.notes == [data.note] == ["1 images resized from 96x48 to 32x32"]


def test_grey_and_transparent_pictures_become_rgb(folder, notes):
    write(folder / "train" / "cat" / "grey.png", np.full((32, 32), 77, dtype=np.uint8))
    data = load_data(str(folder), notes)
    assert (data.train.images[4] == 77).all()


def test_a_cut_picture_is_named(folder, notes):
    path = folder / "test" / "dog" / "1.png"
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(UsageError, match=rf"{path} can't be read as an image(?s:.*)1500 bytes"):
        load_data(str(folder), notes)


def test_an_empty_picture_is_named(folder, notes):
    path = folder / "train" / "dog" / "1.png"
    path.write_bytes(b"")
    with pytest.raises(UsageError, match=rf"{path} can't be read as an image"):
        load_data(str(folder), notes)


def test_more_than_8_bits_are_refused_not_clipped(folder, notes):
    write(folder / "train" / "cat" / "deep.png", np.full((32, 32), 40000, dtype=np.uint16))
    with pytest.raises(UsageError, match=r"deep.png has more than 8 bits"):
        load_data(str(folder), notes)


def test_other_class_names_in_test_are_named_on_both_sides(folder, notes):
    (folder / "test" / "dog").rename(folder / "test" / "wolf")
    with pytest.raises(UsageError, match=r"only in train/: dog; only in test/: wolf"):
        load_data(str(folder), notes)


def test_a_class_without_pictures_is_named(folder, notes):
    for path in (folder / "test" / "cat").iterdir():
        path.unlink()
    with pytest.raises(UsageError, match=r"test/cat has no pictures"):
        load_data(str(folder), notes)


def test_a_split_without_classes(tmp_path, notes):
    (tmp_path / "train").mkdir()
    (tmp_path / "test").mkdir()
    with pytest.raises(UsageError, match=r"train has no class folders"):
        load_data(str(tmp_path), notes)


def test_a_folder_with_something_else_says_what_it_found(tmp_path, notes):
    (tmp_path / "train").mkdir()
    (tmp_path / "readme.txt").touch()
    with pytest.raises(UsageError, match=r"holds no data set(?s:.*)readme.txt, train/"):
        load_data(str(tmp_path), notes)


def test_an_empty_folder(tmp_path, notes):
    with pytest.raises(UsageError, match=r"holds no data set(?s:.*)found:    nothing"):
        load_data(str(tmp_path), notes)


def test_a_missing_folder(tmp_path, notes):
    with pytest.raises(UsageError, match="there is no data folder"):
        load_data(str(tmp_path / "none"), notes)


def test_a_picture_in_both_splits_is_named(folder, notes):
    source = folder / "train" / "cat" / "0.png"
    (folder / "test" / "cat" / "again.png").write_bytes(source.read_bytes())
    with pytest.raises(UsageError, match=rf"again.png = train {source}"):
        load_data(str(folder), notes)
