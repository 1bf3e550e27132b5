"""What is measured on the network itself, built again from a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from cifar_report.analyzer.assemble import analyze
from cifar_report.reporter.attention import place, words
from cifar_report.reporter.facts import gather
from cifar_report.reporter.grad_cam import grad_cam, last_map_layer
from cifar_report.reporter.measured import Look

SAMPLE = Path(__file__).parents[2] / "sample_reports" / "digits"


class Plain(nn.Module):
    """A convolution, an activation in place, global pooling and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 5, 3, padding=1)
        self.pool = nn.MaxPool2d(2)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(5, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.act(self.pool(self.conv(x))).mean((2, 3)))


@pytest.fixture
def plain() -> Plain:
    torch.manual_seed(0)
    return Plain().eval()


def pixels(images: torch.Tensor) -> torch.Tensor:
    return images.permute(0, 3, 1, 2).float() / 255


def test_the_heat_of_a_pooled_linear_network_is_its_class_activation_map(plain: Plain) -> None:
    """Zhou et al. 2016: with a linear layer behind global pooling, Grad-CAM is the weighted sum of maps."""
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 12, 3), dtype=np.uint8)
    heat = grad_cam(plain, "act", lambda x: plain(pixels(x)), images)
    with torch.no_grad():
        maps = functional.relu(plain.pool(plain.conv(pixels(torch.from_numpy(images)))))
        scores = plain.head(maps.mean((2, 3)))
    weights = plain.head.weight[scores.argmax(1)].detach()
    expected = functional.relu((weights[:, :, None, None] * maps).sum(1))
    expected = functional.interpolate(expected[:, None], (12, 12), mode="bilinear")[:, 0]
    expected = expected / expected.amax((1, 2), keepdim=True).clamp(min=1e-12)
    np.testing.assert_allclose(heat.maps, expected.numpy(), atol=1e-5)
    np.testing.assert_allclose(heat.scores, scores.numpy(), rtol=1e-5)


def test_an_activation_in_place_after_the_layer_does_not_change_its_heat(plain: Plain) -> None:
    images = np.random.default_rng(1).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    before = grad_cam(plain, "pool", lambda x: plain(pixels(x)), images)
    plain.act = nn.ReLU(inplace=False)
    after = grad_cam(plain, "pool", lambda x: plain(pixels(x)), images)
    np.testing.assert_array_equal(before.maps, after.maps)


def test_the_hook_is_gone_and_nothing_has_a_gradient(plain: Plain) -> None:
    grad_cam(plain, "act", lambda x: plain(pixels(x)), np.zeros((1, 8, 8, 3), dtype=np.uint8))
    assert not plain.act._forward_hooks
    assert all(parameter.grad is None for parameter in plain.parameters())


def test_a_layer_that_the_scores_do_not_depend_on_is_refused(plain: Plain) -> None:
    plain.other = nn.Conv2d(3, 3, 1)
    with pytest.raises(ValueError, match="can't be traced back"):
        grad_cam(plain, "other", lambda x: plain(pixels(x)), np.zeros((1, 8, 8, 3), dtype=np.uint8))
    assert not plain.other._forward_hooks


def test_the_last_map_is_the_one_before_global_pooling(plain: Plain) -> None:
    assert last_map_layer(analyze(plain, inputs=(3, 8, 8), name="plain")) == "act"


def copied(tmp_path: Path) -> Path:
    """A copy of the sample run, to change."""
    folder = tmp_path / "run"
    folder.mkdir()
    for path in SAMPLE.iterdir():
        if path.suffix in (".json", ".jsonl", ".npz", ".safetensors"):
            shutil.copy(path, folder)
    return folder


def test_a_real_run_is_measured_with_its_network() -> None:
    measured = gather(SAMPLE).measured
    assert not isinstance(measured.coverage, str)
    assert measured.coverage.before_gap.share == 1.0
    assert not isinstance(measured.effective, str)
    assert not isinstance(measured.looks, str)
    assert {look.split for look in measured.looks if look.right} == {"training"}
    wrong = [look for look in measured.looks if not look.right]
    with np.load(SAMPLE / "predictions.npz") as stored:
        for look in wrong:
            assert int(stored["logits"][look.index].argmax()) == look.guess
            assert int(stored["labels"][look.index]) == look.truth


def test_a_network_that_gives_other_scores_than_the_stored_ones_is_not_shown(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    with np.load(folder / "predictions.npz") as stored:
        logits, labels = stored["logits"], stored["labels"]
    np.savez(folder / "predictions.npz", logits=logits * 2, labels=labels)
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    shifted = torch.from_numpy(logits * 2)
    metrics["loss"] = float(functional.cross_entropy(shifted, torch.from_numpy(labels)))
    metrics.pop("calibration", None)
    (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    measured = gather(folder).measured
    assert isinstance(measured.looks, str)
    assert "other scores than the run stored" in measured.looks


def test_code_from_the_net_is_not_run(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(
        json.dumps({**config, "model": "hub:somebody/network:net"}), encoding="utf-8"
    )
    assert "a report runs none" in str(gather(folder).measured.coverage)


def look(heat: np.ndarray) -> Look:
    return Look(np.zeros((6, 6, 3), dtype=np.uint8), heat, "test", 3, 0, 1, 60.0)


def test_words_say_where_the_heat_lies() -> None:
    heat = np.zeros((6, 6))
    assert place(look(heat)) == "nowhere"
    heat[0, 5] = 1.0
    assert place(look(heat)) == "top right"
    assert "cat taken for dog (60.0 %), top right" in words([look(heat)], ("cat", "dog"))
    assert place(look(np.ones((6, 6)))) == "middle"
