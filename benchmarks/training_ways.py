"""Two ways to train the same network on the same images: ours, and the one that tutorials write down.

The latter is a DataLoader whose workers run albumentations on one image at a time and hand over normalised
floats; float32, contiguous, one operator after the other, and the usual loop, which counts hits as it goes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset

from cifar_report.models.registry import build
from cifar_report.trainer.augment import ASSIGNMENT, pipeline_of_texts
from cifar_report.trainer.augment_library import load_albumentations
from cifar_report.trainer.data import load_data
from cifar_report.trainer.epoch import train_epoch
from cifar_report.trainer.evaluate import evaluate
from cifar_report.trainer.images import ImageData, Split, facts
from cifar_report.trainer.listen import Listener
from cifar_report.trainer.options import Options
from cifar_report.trainer.team import ALONE
from cifar_report.trainer.work import Work, new_work

BATCH = 128


def small(channels: int) -> nn.Module:
    """Return a network of fewer than 8,000 parameters, of the kind that is trained on MNIST."""

    def block(inputs: int, outputs: int, **how: int) -> list[nn.Module]:
        return [nn.Conv2d(inputs, outputs, 3, bias=False, **how), nn.BatchNorm2d(outputs), nn.ReLU()]

    return nn.Sequential(
        *block(channels, 8, padding=1),
        *block(8, 12, padding=1, stride=2),
        *block(12, 16, padding=1),
        *block(16, 16, padding=1, stride=2),
        *block(16, 16, padding=1),
        nn.Conv2d(16, 10, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def network(name: str, channels: int = 3) -> nn.Module:
    """Return `small`, or a built-in network, freshly initialised from seed 0."""
    torch.manual_seed(0)
    return small(channels) if name == "small" else build(name)


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast one epoch went."""

    images_per_second: float
    waited: float
    """Share of the time spent waiting for batches, 0..1."""


class Images(Dataset[Any]):
    """Images that are augmented one at a time, when a worker asks for them."""

    def __init__(self, split: Split, compose: Any) -> None:
        self._split, self._compose = split, compose

    def __len__(self) -> int:
        return len(self._split.labels)

    def __getitem__(self, index: int) -> Any:
        """Return an image (C, H, W) float32 and its label."""
        return self._compose(image=self._split.images[index])["image"], int(self._split.labels[index])


def documents_way(module: nn.Module, data: ImageData, workers: int) -> Callable[[], Pace]:
    """Return a function that trains for an epoch the documents' way. Its workers are started once."""
    library = load_albumentations()
    known = pipeline_of_texts(ASSIGNMENT, facts(data), mirror=data.mirrored_is_same).compose
    compose = library.Compose([*known.transforms, library.ToTensorV2()])
    loader = DataLoader(
        Images(data.train, compose), BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)

    def epoch() -> Pace:
        module.train()
        begin = asked = time.perf_counter()
        waited, correct = 0.0, 0
        for images, labels in loader:
            waited += time.perf_counter() - asked
            optimizer.zero_grad()
            scores = module(images)
            loss = functional.cross_entropy(scores, labels)
            loss.backward()
            optimizer.step()
            correct += int((scores.argmax(dim=1) == labels).sum())
            asked = time.perf_counter()
        seconds = time.perf_counter() - begin
        return Pace(len(data.train.labels) / seconds, waited / seconds)

    return epoch


def our_work(module: nn.Module, data: ImageData, device: str = "auto", epochs: int = 1_000) -> Work:
    """Return the product's own training with all its defaults."""
    return new_work(
        module, data, Options(epochs=epochs, batch_size=BATCH, device=device), None, ALONE, Listener()
    )


def our_epoch(work: Work, number: int) -> Pace:
    """Train for an epoch our way; the drawing of its random numbers is part of it."""
    tally = train_epoch(work.trainee, work.feed, work.config, number, Listener())
    return Pace(tally.count / tally.seconds, tally.waited / tally.seconds)


def side_by_side(name: str, source: str, images: int, repeats: int, threads: int, workers: int) -> Any:
    """Train both ways in turn, each once unmeasured, on the first so many training images."""
    torch.set_num_threads(threads)
    whole = load_data(source, Listener())
    part = Split(whole.train.images[:images], whole.train.labels[:images])
    data = ImageData(whole.name, whole.classes, part, whole.test, whole.note, whole.mirrored_is_same)
    channels = data.train.images.shape[3]
    work = our_work(network(name, channels), data, "cpu")
    theirs = documents_way(network(name, channels), data, workers)
    theirs()
    our_epoch(work, 1)
    ours, documents = [], []
    for repeat in range(2, repeats + 2):
        if repeat % 2:
            documents.append(theirs())
        ours.append(our_epoch(work, repeat))
        if not repeat % 2:
            documents.append(theirs())
    return {
        "data": data.name, "images": len(part.labels), "how": how(work),
        "ours": [pace.images_per_second for pace in ours], "ours_waited": [pace.waited for pace in ours],
        "theirs": [pace.images_per_second for pace in documents],
        "theirs_waited": [pace.waited for pace in documents],
    }  # fmt: skip


def whole_epochs(name: str, source: str, epochs: int, device: str, threads: int) -> Any:
    """Train our way on all training images and evaluate on all test images after each epoch."""
    torch.set_num_threads(threads)
    data = load_data(source, Listener())
    module = network(name, data.train.images.shape[3])
    work = our_work(module, data, device, epochs)
    trained, waited, judged, accuracy = [], [], [], 0.0
    begin = time.perf_counter()
    for number in range(1, epochs + 1):
        pace = our_epoch(work, number)
        trained.append(len(data.train.labels) / pace.images_per_second)
        waited.append(pace.waited)
        start = time.perf_counter()
        accuracy = evaluate(work.judged, data.test).accuracy
        judged.append(time.perf_counter() - start)
    return {
        "data": data.name, "images": len(data.train.labels), "how": how(work), "accuracy": accuracy,
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
        "trained": trained, "waited": waited, "judged": judged, "seconds": time.perf_counter() - begin,
    }  # fmt: skip


def on_gpu(name: str, source: str, epochs: int) -> Any:
    """Return `whole_epochs` on a GPU, and which one it is; None where there is none."""
    if not torch.cuda.is_available():
        return None
    found = whole_epochs(name, source, epochs, "cuda", torch.get_num_threads())
    return {**found, "device": torch.cuda.get_device_name()}


def how(work: Work) -> str:
    """Return what was chosen for a run that left it open."""
    config = work.config
    code = ", compiled" if config.extra.get("compiled") else ""
    return f"{config.precision}, {config.extra['memory_format']}{code}, {config.augment_with} augments"
