"""A made-up run folder for the tests: three classes of drawn shapes, a small network put down by hand.

Nothing here was trained. The figures agree with each other, because the report refuses others.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from cifar_report.analyzer.analysis import Analysis, FieldTotals, Finding, Layer, ReceptiveField, Totals
from cifar_report.trainer.calibration import calibrate
from cifar_report.trainer.records import Augmentation, DataFacts, RunConfig, Transform
from cifar_report.trainer.results import ClassAccuracy, Epoch, Metrics

CLASSES = ("circle", "square", "cross")
PER_CLASS_TRAIN = 12
PER_CLASS_TEST = 10
# name, type, leaf, output shape, parameters, MACs, field, stride, start, backwards
ROWS: list[tuple[Any, ...]] = [
    ("stem", "Conv2d", True, (1, 8, 32, 32), 216, 221_184, 3, 1, 0.0, 45),
    ("norm", "BatchNorm2d", True, (1, 8, 32, 32), 16, 0, 3, 1, 0.0, 43),
    ("act", "ReLU", True, (1, 8, 32, 32), 0, 0, 3, 1, 0.0, 43),
    ("down.depth", "Conv2d", True, (1, 8, 16, 16), 72, 18_432, 5, 2, 0.0, 43),
    ("down.point", "Conv2d", True, (1, 16, 16, 16), 128, 32_768, 5, 2, 0.0, 21),
    ("down", "DepthwiseSeparable", False, (1, 16, 16, 16), 0, 0, 5, 2, 0.0, 43),
    ("wide", "Conv2d", True, (1, 3, 16, 16), 432, 110_592, 13, 2, 0.0, 21),
    ("gap", "AdaptiveAvgPool2d", True, (1, 3, 1, 1), 0, 0, 43, 32, 15.0, 16),
    ("flatten", "Flatten", True, (1, 3), 0, 0, 43, 32, 15.0, 1),
]


def local_field(size: int, stride: float, start: float) -> ReceptiveField:
    """Return a square field."""
    return ReceptiveField("local", (size, size), (stride, stride), (start, start), True, (min(size, 32),) * 2)


def layer(index: int, row: tuple[Any, ...]) -> Layer:
    """Return a layer from a row of `ROWS`."""
    name, kind, leaf, shape, params, macs, size, stride, start, back = row
    return Layer(
        index=index,
        name=name,
        type=kind,
        kind="module",
        leaf=leaf,
        container=False,
        depth=name.count(".") + 1,
        input_shape=None,
        output_shape=shape,
        params=params,
        trainable_params=params,
        buffers=0,
        reused=False,
        macs=macs,
        flops=2 * macs,
        elementwise=0,
        dmas=0,
        activation_bytes=0,
        receptive_field=local_field(size, stride, start),
        backward_field=local_field(back, 1, 0.0),
        first_operator=0,
        last_operator=0,
    )


def analysis() -> Analysis:
    """Return the small network's analysis."""
    layers = [layer(index, row) for index, row in enumerate(ROWS)]
    network = replace(
        layer(len(ROWS), ("", "ShapeNet", False, (1, 3), 0, 0, 43, 32, 15.0, 43)), container=True, depth=0
    )
    layers.append(network)
    params = sum(item.params for item in layers)
    macs = sum(item.macs or 0 for item in layers)
    fields = FieldTotals(before_gap=local_field(13, 2, 0.0), output=local_field(43, 32, 15.0))
    totals = Totals(
        params=params,
        trainable_params=params,
        frozen_params=0,
        buffers=17,
        macs=macs,
        flops=2 * macs,
        elementwise=20_480,
        dmas=99_000,
        param_bytes=4 * params,
        buffer_bytes=72,
        activation_bytes=150_000,
        peak_activation_bytes=65_536,
        receptive_field=fields,
        unknown_ops=(),
    )
    findings = (
        Finding("depthwise_separable", True, ("down.depth", "down.point"), "3x3 with 8 groups, then 1x1"),
        Finding("dilated", True, ("wide",), "3x3 with dilation 2"),
        Finding("gap", True, ("gap",), "16x16 to 1x1"),
        Finding("depthwise_separable", False, ("wide",), "its groups are 1"),
    )
    return Analysis("ShapeNet", (3, 32, 32), "meta", totals, tuple(layers), (), findings)


def logits_and_labels(classes: int) -> tuple[Any, Any]:
    """Return made-up logits (N, classes) and labels (N,): every fifth image of a class is mistaken."""
    labels = np.repeat(np.arange(classes), PER_CLASS_TEST)
    guesses = np.where(np.arange(len(labels)) % 5 == 0, (labels + 1) % classes, labels)
    logits = np.zeros((len(labels), classes), dtype=np.float32)
    logits[np.arange(len(labels)), guesses] = 3.0
    return logits, labels


def data_facts(classes: tuple[str, ...]) -> DataFacts:
    """Return a balanced data set."""
    return DataFacts(
        name="shapes",
        classes=classes,
        train_count=PER_CLASS_TRAIN * len(classes),
        test_count=PER_CLASS_TEST * len(classes),
        train_per_class=(PER_CLASS_TRAIN,) * len(classes),
        test_per_class=(PER_CLASS_TEST,) * len(classes),
        image_shape=(3, 32, 32),
        mean=(0.5, 0.25, 0.125),
        std=(0.2, 0.2, 0.2),
        train_hash="a" * 64,
        test_hash="b" * 64,
        note="drawn, not photographed",
    )


def config(classes: tuple[str, ...] = CLASSES, epochs: int = 4) -> RunConfig:
    """Return the settings of the made-up run."""
    constraints = ("params < 1_000", "rf > 52", "test_accuracy >= 75", "epochs <= 10")
    return RunConfig(
        model="shape_net.py:ShapeNet",
        data=data_facts(classes),
        data_source="shapes",
        epochs=epochs,
        batch_size=8,
        seed=7,
        device="cpu",
        optimizer={"name": "SGD", "momentum": 0.9, "nesterov": True},
        schedule={"name": "one-cycle", "peak": 0.2},
        label_smoothing=0.05,
        precision="float32",
        assignment={
            "id": "shapes-1",
            "title": "Shapes, lesson 1",
            "prose": "Tell shapes apart.\n\n- fewer than 1,000 parameters\n- field of more than 52",
            "constraints": list(constraints),
        },
        constraints=constraints,
        command="cifar-report train shape_net.py:ShapeNet --data shapes --epochs 4",
    )


def history(epochs: int, test_count: int, last: float) -> list[Epoch]:
    """Return a log whose best epoch is the last but one and whose last test accuracy is given."""
    steps = range(1, epochs + 1)
    accuracy = {number: last - 3.0 * (epochs - number) for number in steps}
    if epochs > 1:
        accuracy[epochs - 1] = last + 1.0
    return [
        Epoch(
            epoch=number,
            train_loss=1.1 / number,
            train_accuracy=accuracy[number] + 2,
            test_loss=1.2 / number,
            test_accuracy=accuracy[number],
            train_count=36,
            test_count=test_count,
            learning_rate=0.1 / number,
            seconds=1.5,
            images_per_second=24.0,
        )
        for number in steps
    ]


def metrics(classes: tuple[str, ...], log: list[Epoch]) -> Metrics:
    """Return the evaluation that `logits_and_labels` gives."""
    logits, labels = logits_and_labels(len(classes))
    matrix = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(matrix, (labels, logits.argmax(axis=1)), 1)
    rows = [
        ClassAccuracy(name, int(row.sum()), int(row[index]), 100 * int(row[index]) / int(row.sum()))
        for index, (name, row) in enumerate(zip(classes, matrix, strict=True))
    ]
    correct, count = int(matrix.trace()), int(matrix.sum())
    best = max(log, key=lambda epoch: epoch.test_accuracy)
    return Metrics(
        epoch=log[-1].epoch,
        accuracy=100 * correct / count,
        correct=correct,
        count=count,
        loss=float((np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(count), labels]).mean()),
        best_epoch=best.epoch,
        best_accuracy=best.test_accuracy,
        per_class=tuple(rows),
        confusion=tuple(tuple(int(cell) for cell in row) for row in matrix),
        seconds=6.0,
        calibration=calibrate(np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True), labels),
    )


def augmentation() -> Augmentation:
    """Return a pipeline of two transforms."""
    transforms = (
        Transform("HorizontalFlip", {"p": 0.3}),
        Transform(
            "CoarseDropout",
            {"num_holes_range": [1, 1], "hole_height_range": [16, 16], "fill": [125, 123, 114], "p": 0.5},
        ),
    )
    return Augmentation("albumentations 2.0.8", transforms, {"transform": {}})


def pictures(classes: tuple[str, ...]) -> dict[str, Any]:
    """Return the arrays of samples.npz: shapes on a coloured ground, mirrored as augmentation."""
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(len(classes)), 6)
    images = np.stack([_shape(int(label) % 3, generator) for label in labels])
    _, test_labels = logits_and_labels(len(classes))
    wrong = np.arange(0, len(test_labels), 5)
    return {
        "images": images,
        "labels": labels,
        "before": images[:8],
        "after": images[:8, :, ::-1],
        "test_images": np.stack([_shape(int(test_labels[index]) % 3, generator) for index in wrong]),
        "test_index": wrong,
    }


def _shape(kind: int, generator: np.random.Generator) -> Any:
    y, x = np.mgrid[:32, :32] - generator.integers(11, 21, size=(2, 1, 1))
    masks = (x**2 + y**2 < 64, np.maximum(abs(x), abs(y)) < 7, np.minimum(abs(x), abs(y)) < 2)
    image = np.empty((32, 32, 3), dtype=np.uint8)
    image[:] = generator.integers(30, 120, size=3)
    image[masks[kind]] = generator.integers(140, 250, size=3)
    return image


def write_run(
    folder: Path, *, classes: tuple[str, ...] = CLASSES, epochs: int = 4, done: int | None = None
) -> Path:
    """Write a run folder; with `done` below `epochs` one that was stopped before its evaluation."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = config(classes, epochs)
    log = history(epochs, settings.data.test_count, 80.0)[:done]
    _json(folder / "config.json", asdict(settings))
    _json(
        folder / "environment.json",
        {"python": "3.11", "torch": {"version": "2.15", "threads": 2}, "commit": None},
    )
    (folder / "analysis.json").write_text(analysis().to_json(), encoding="utf-8")
    _json(folder / "augmentation.json", asdict(augmentation()))
    lines = [json.dumps(asdict(epoch)) + "\n" for epoch in log]
    (folder / "history.jsonl").write_text("".join(lines), encoding="utf-8")
    if len(log) == epochs:
        logits, labels = logits_and_labels(len(classes))
        _json(folder / "metrics.json", asdict(metrics(classes, log)))
        np.savez(folder / "predictions.npz", logits=logits, labels=labels)
        np.savez(folder / "samples.npz", **pictures(classes))
        (folder / "checkpoint.safetensors").write_bytes(b"weights")
    return folder


def _json(path: Path, data: dict[str, Any]) -> None:
    path.write_text(json.dumps(data), encoding="utf-8")
