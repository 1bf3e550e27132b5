"""Data sets of Python, good and bad."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import IterableDataset, TensorDataset
from torchvision.datasets import FakeData
from torchvision.transforms import ToTensor

from cifar_report.analyzer.errors import UsageError
from cifar_report.trainer.data import load_data
from cifar_report.trainer.data_python import from_datasets

IMAGES = np.random.default_rng(2).integers(0, 256, (8, 28, 30, 3), dtype=np.uint8)


class Items:
    """A map-style data set of what it is given."""

    def __init__(self, images, labels=(0, 1) * 4):
        self.items = list(zip(images, labels, strict=True))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


class Stream(IterableDataset):
    def __iter__(self):
        yield from zip(IMAGES, (0, 1) * 4, strict=True)


TENSORS = torch.from_numpy(IMAGES).permute(0, 3, 1, 2)


@pytest.mark.parametrize(
    "dataset",
    [
        Items(IMAGES),
        Items([Image.fromarray(image) for image in IMAGES]),
        Items([ToTensor()(image) for image in IMAGES]),
        TensorDataset(TENSORS, torch.arange(8) % 2),
        TensorDataset(TENSORS.double() / 255, torch.arange(8) % 2),
        Stream(),
        Items(IMAGES, np.arange(8) % 2),
    ],
    ids=["arrays", "pillow", "ToTensor", "bytes", "float64", "iterable", "numpy labels"],
)
def test_every_form_of_an_image_gives_its_bytes(dataset, notes):
    data = from_datasets("mine", dataset, Items(IMAGES ^ 1), notes)
    assert (data.train.images == IMAGES).all()
    assert data.train.labels.tolist() == [0, 1] * 4
    assert data.classes == ("0", "1")
    assert notes.notes == []


def test_grey_images_stay_grey(notes):
    grey = IMAGES[..., 0]
    data = from_datasets("mine", Items(grey), Items([Image.fromarray(image) for image in grey ^ 1]), notes)
    assert data.train.images.shape == data.test.images.shape == (8, 28, 30, 1)
    assert (data.train.images[..., 0] == grey).all()


def test_differing_sizes_are_resized_with_a_notice(notes):
    train = Items([IMAGES[0], IMAGES[1][:20]] * 4)
    data = from_datasets("mine", train, Items(IMAGES), notes)
    assert data.train.images.shape == data.test.images.shape == (8, 32, 32, 3)
    assert notes.notes == ["mine: images of 2 shapes, resized to 32x32 RGB"]


def test_a_function_of_a_file_is_called(tmp_path, notes):
    (tmp_path / "fakes.py").write_text(
        "from torchvision.datasets import FakeData\n"
        "def two():\n"
        "    train = FakeData(20, (3, 32, 32), 3, random_offset=1)\n"
        "    return {'train': train, 'test': FakeData(12, (3, 32, 32), 3, random_offset=100)}\n"
    )
    data = load_data(f"{tmp_path / 'fakes.py'}:two", notes)
    image, label = FakeData(20, (3, 32, 32), 3, random_offset=1)[7]
    assert (data.train.images[7] == np.asarray(image)).all()
    assert data.train.labels[7] == label
    assert (data.name, len(data.test.labels)) == ("fakes", 12)


class Named(Items):
    def __init__(self, classes):
        super().__init__(IMAGES)
        self.classes = classes


def test_classes_that_differ_are_named(notes):
    with pytest.raises(UsageError, match=r"other classes(?s:.*)cat, dog(?s:.*)cat, wolf"):
        from_datasets("mine", Named(["cat", "dog"]), Named(["cat", "wolf"]), notes)


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (Items(TENSORS.float() / 255 - 0.5), "train item 0 is not in 0..1"),
        (Items(TENSORS.float()), "train item 0 is not in 0..1"),
        (Items(TENSORS.long()), "train item 0 is no image"),
        (Items([np.zeros((3, 3, 4), np.uint8)] * 8), "one or three channels"),
        (Items(IMAGES, ["cat", "dog"] * 4), "train item 0 has no class"),
        (Items(IMAGES, [0, -1] * 4), "train item 1 has no class"),
        (list(IMAGES), "train item 0 is no pair"),
        (Items([], []), "ended early"),
    ],
)
def test_what_is_no_labelled_image_is_named(train, message, notes):
    with pytest.raises(UsageError, match=message):
        from_datasets("mine", train, Items(IMAGES), notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "no function make_datasets"),
        ("def make_datasets(): return 3", "no two data sets(?s:.*)int"),
        ("def make_datasets(): raise OSError('no disk')", "fails(?s:.*)OSError: no disk"),
        ("import nothing_like_it", "fails(?s:.*)ModuleNotFoundError"),
    ],
)
def test_a_file_that_gives_no_data_says_so(tmp_path, notes, text, message):
    (tmp_path / "mine.py").write_text(text)
    with pytest.raises(UsageError, match=message):
        load_data(str(tmp_path / "mine.py"), notes)


def test_a_file_that_is_not_there(tmp_path, notes):
    with pytest.raises(UsageError, match="there is no file"):
        load_data(str(tmp_path / "none.py"), notes)
