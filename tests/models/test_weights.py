"""The trained weights that ship: they fit, say what they are for, and give the scores of their run."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from cifar_report.analyzer.load_weights import load_weights
from cifar_report.models import registry
from cifar_report.trainer.passport import read_passport
from cifar_report.trainer.run import read_run

ROOT = Path(registry.__file__).parent.parent
TRAINED = [name for name in registry.names() if registry.weights(name)]
SAMPLES = {
    read_run(path.parent).config.model: path.parent for path in ROOT.glob("sample_reports/*/config.json")
}
LARGEST = 500_000
"""Of a file of weights [bytes]."""


def weights(name: str) -> Path:
    """Return the file of a network that has one."""
    path = registry.weights(name)
    assert path is not None
    return path


@pytest.mark.parametrize("name", TRAINED)
def test_weights_are_small_fit_their_network_and_say_so(name: str) -> None:
    path = weights(name)
    assert path.stat().st_size <= LARGEST
    load_weights(registry.build(name), path)
    passport = read_passport(path)
    assert passport is not None
    assert passport.model == name
    assert len(passport.classes) == 10


@pytest.mark.parametrize("name", TRAINED)
def test_every_file_of_weights_has_its_card(name: str) -> None:
    card = weights(name).with_suffix(".md").read_text(encoding="utf-8")
    passport = read_passport(weights(name))
    assert passport is not None
    assert card.startswith("---\n")
    trained = re.search(r"after (\d+) epochs(?: that followed (\d+) of an earlier run)?, seed", card)
    assert trained
    assert passport.epochs == sum(map(int, filter(None, trained.groups())))
    assert f"| Parameters | **{sum(p.numel() for p in registry.build(name).parameters()):,}** |" in card


def test_no_file_is_left_over() -> None:
    folder = weights(TRAINED[0]).parent
    kinds = {".safetensors", ".md"}
    assert {file.name for file in folder.iterdir()} == {name + kind for name in TRAINED for kind in kinds}


@pytest.mark.parametrize("name", sorted(set(TRAINED) & set(SAMPLES)))
def test_the_weights_give_the_scores_of_the_run_on_the_images_that_it_kept(name: str) -> None:
    folder, passport = SAMPLES[name], read_passport(weights(name))
    assert passport is not None
    assert weights(name).read_bytes() == (folder / "checkpoint.safetensors").read_bytes()
    network = registry.build(name).eval()
    load_weights(network, weights(name))
    with np.load(folder / "samples.npz") as samples, np.load(folder / "predictions.npz") as predictions:
        pixels = samples["test_images"] / 255
        expected = predictions["logits"][samples["test_index"]]
    normal = (pixels - np.array(passport.mean)) / np.array(passport.std)
    with torch.no_grad():
        scores = network(torch.from_numpy(normal).float().permute(0, 3, 1, 2)).numpy()
    np.testing.assert_allclose(scores, expected, atol=2e-4)


def test_the_table_says_what_the_cards_say() -> None:
    text = (ROOT / "models" / "README.md").read_text(encoding="utf-8")
    rows = {
        found[1]: line.split("|")
        for line in text.splitlines()
        if (found := re.search(r"\(weights/(\w+)\.md\)", line))
    }
    assert set(rows) == set(TRAINED)
    for name, cells in rows.items():
        card = weights(name).with_suffix(".md").read_text(encoding="utf-8")
        params, field, epochs, accuracy = (cells[place].strip() for place in (3, 4, 5, 7))
        assert f"| Parameters | **{params}** |" in card
        assert f"| Test accuracy | **{accuracy} %** |" in card
        assert re.search(rf"before global pooling {field}( px|$|,| \|)", card)
        before, _, last = epochs.rpartition(" + ")
        assert f"after {last} epochs" + (f" that followed {before} " if before else ", seed") in card
