"""`cifar-report evaluate`: figures against a run's own, and against a count made by hand."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file

from cifar_report.models import registry
from tests.cli.program import call
from tests.cli.trainings import FAST, NETWORK, write_colours

evaluate = partial(call, "evaluate")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a run; its network and its images lie beside it."""
    place = tmp_path_factory.mktemp("evaluate")
    (place / "net.py").write_text(NETWORK)
    write_colours(place / "colours")
    result = call("train", place / "net.py", "--data", place / "colours", "--epochs", 2, *FAST, "--flip-test",
                  "--out", place / "run")  # fmt: skip
    assert result.exit_code == 0, result.output
    return place / "run"


def again(run: Path, *arguments: object, weights: Path | None = None) -> Result:
    """Evaluate the run's network on its data."""
    given = (run.parent / "net.py", "--data", run.parent / "colours")
    file = weights or run / "checkpoint.safetensors"
    return evaluate(*given, "--weights", file, *arguments)


def figures(run: Path, *arguments: object) -> dict[str, object]:
    result = again(run, "--format", "json", *arguments)
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_the_figures_of_the_run_come_out_again_to_the_image(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    found = figures(run, "--flip-test")
    for name in ("accuracy", "correct", "count", "per_class", "flip_test"):
        assert found[name] == metrics[name], name
    assert found["loss"] == pytest.approx(metrics["loss"], rel=1e-5)


def test_accuracy_is_what_a_loop_of_ones_own_counts(run: Path) -> None:
    found = figures(run)
    with np.load(run / "predictions.npz") as file:
        predictions = {name: file[name] for name in ("logits", "labels")}
    right = sum(
        int(scores.argmax() == label)
        for scores, label in zip(predictions["logits"], predictions["labels"], strict=True)
    )
    assert found["correct"] == right
    assert found["accuracy"] == 100 * right / len(predictions["labels"])


def test_the_table_shows_each_class_and_all_of_them(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    result = again(run)
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.splitlines() if line[:1].isalnum()}
    for row in metrics["per_class"]:
        assert rows[row["name"]] == [str(row["correct"]), str(row["count"]), f"{row['accuracy']:.2f}"]
    assert rows["all"] == [str(metrics["correct"]), str(metrics["count"]), f"{metrics['accuracy']:.2f}"]


def test_weights_say_how_their_images_were_normalised(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    with safe_open(run / "checkpoint.safetensors", framework="pt") as opened:
        said = json.loads(opened.metadata()["cifar-report"])
    files = sorted((run.parent / "colours" / "train").rglob("*.png"))
    pixels = np.stack([np.asarray(Image.open(file)) for file in files]) / 255
    assert said["classes"] == ["blue", "green", "red"]
    assert said["mean"] == config["data"]["mean"] == pytest.approx(pixels.mean(axis=(0, 1, 2)))
    assert said["std"] == config["data"]["std"] == pytest.approx(pixels.std(axis=(0, 1, 2)))


def test_weights_from_elsewhere_take_the_datas_own_normalisation_and_say_so(
    run: Path, tmp_path: Path
) -> None:
    with safe_open(run / "checkpoint.safetensors", framework="pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
    save_file(tensors, tmp_path / "bare.safetensors")
    torch.save(tensors, tmp_path / "bare.pt")
    for name in ("bare.safetensors", "bare.pt"):
        result = again(run, "--format", "json", weights=tmp_path / name)
        assert json.loads(result.stdout)["correct"] == figures(run)["correct"]
        assert "doesn't say how its images were normalised" in result.stderr


def test_weights_for_other_classes_are_refused(run: Path, tmp_path: Path) -> None:
    with safe_open(run / "checkpoint.safetensors", framework="pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
        said = json.loads(opened.metadata()["cifar-report"])
    said["classes"] = said["classes"][::-1]
    save_file(tensors, tmp_path / "other.safetensors", metadata={"cifar-report": json.dumps(said)})
    result = again(run, weights=tmp_path / "other.safetensors")
    assert result.exit_code == 2
    assert "in another order" in result.stderr
    save_file(tensors, tmp_path / "strange.safetensors", metadata={"cifar-report": "{}"})
    result = again(run, weights=tmp_path / "strange.safetensors")
    assert result.exit_code == 2
    assert "newer version" in result.stderr


def test_without_weights_the_networks_that_have_some_are_named(run: Path) -> None:
    result = evaluate(run.parent / "net.py", "--data", run.parent / "colours")
    assert result.exit_code == 2
    assert "without trained weights" in result.stderr
    assert all(name in result.stderr for name in registry.names() if registry.weights(name))
    assert "checkpoint.safetensors" in result.stderr


def test_weights_of_another_network_are_its_error(run: Path) -> None:
    result = evaluate("residual", "--data", "digits", "--weights", run / "checkpoint.safetensors")
    assert result.exit_code == 3
    assert "level1" in result.stderr


def test_mirror_images_of_digits_are_other_signs(run: Path) -> None:
    weights = run / "checkpoint.safetensors"
    result = evaluate(run.parent / "net.py", "--weights", weights, "--data", "digits", "--flip-test")
    assert result.exit_code == 2
    assert "other signs" in result.stderr


def test_a_misspelt_network_is_told_from_one_without_weights(run: Path) -> None:
    result = evaluate("flagshp", "--data", run.parent / "colours")
    assert result.exit_code == 2
    assert "without trained weights" not in result.stderr
    assert "flagship" in result.stderr
