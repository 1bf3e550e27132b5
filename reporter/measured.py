"""What only the trained network itself can show: density, the effective field, where it looked.

The network is built again from the name that the run recorded, gets the run's weights, and has to give
the scores again that the run stored. Where any of that fails the report says why, and shows the rest.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cifar_report.analyzer.errors import ModelError, Problem, UsageError
from cifar_report.reporter.wording import one_line

if TYPE_CHECKING:
    from cifar_report.analyzer.coverage import Coverage
    from cifar_report.analyzer.load import LoadedModel
    from cifar_report.reporter.effective_field import EffectiveField
    from cifar_report.reporter.facts import Predictions, Samples
    from cifar_report.trainer.network import Network
    from cifar_report.trainer.run import Run

LOOKED_AT = 6
"""Images of a kind, right or wrong, on which the heat is shown."""
IMAGES = 16
"""Over which the effective field is averaged."""
CLOSE = 0.02
"""Largest difference between a score and the stored one [share of the largest score], since processors add
up in different orders."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """An image, the network's guess, and where on the image that comes from."""

    image: NDArray[np.uint8]
    """(H, W, C)."""
    heat: NDArray[np.float64]
    """(H, W), 0..1."""
    split: str
    """`training` or `test`."""
    index: int | None
    """Position in the test split; None for a training image, of which it wasn't kept."""
    truth: int
    guess: int
    confidence: float
    """Softmax probability of the guess [%]."""

    @property
    def right(self) -> bool:
        """Whether the guess is the truth."""
        return self.truth == self.guess


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Figures of the network with its trained weights. What couldn't be measured is a sentence saying why."""

    coverage: Coverage | str
    effective: EffectiveField | str
    looks: tuple[Look, ...] | str
    looked_at: str
    """The layer whose map the looks are of; empty where there are none."""


def measure(run: Run, samples: Samples | None, predictions: Predictions | None, weights: Path) -> Measured:
    """Build the run's network again and measure it."""
    try:
        if samples is None or predictions is None or not weights.exists():
            missing = "a finished run's images, scores and weights"
            raise UsageError("the run folder lacks what it takes", expected=missing)
        with _quiet():
            loaded = _rebuilt(run, weights)
            with loaded.running():
                network = _network(loaded, run)
                _expect_same(network, samples, predictions)
                return _measured(loaded, network, run, samples, predictions)
    except Problem as error:
        return nothing(_sentence(error))
    # The network is the user's code, maybe another version of it, and may raise anything.
    except Exception as error:
        return nothing(one_line(f"{type(error).__name__}: {error}"))


def nothing(reason: str) -> Measured:
    """Return that nothing was measured, and why."""
    return Measured(reason, reason, reason, "")


def _sentence(error: Problem) -> str:
    return one_line(f"{error.what}; found {error.found}" if error.found else error.what)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the network prints out of results, and leave torch's settings as they were.

    One thread, because threads that wait for so little work cost more than they bring.
    """
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(), contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        torch.set_num_threads(threads)


def _rebuilt(run: Run, weights: Path) -> LoadedModel:
    from cifar_report.analyzer.load import load_model
    from cifar_report.analyzer.load_weights import load_weights

    if run.config.model.startswith("hub:"):
        raise UsageError("the network's code lies on the net, and a report runs none from there")
    loaded = load_model(run.config.model)
    load_weights(loaded.module, weights)
    loaded.module.eval()
    return loaded


def _network(loaded: LoadedModel, run: Run) -> Network:
    from cifar_report.trainer.network import Network

    return Network(loaded.module, replace(run.config, device="cpu", extra={}))


def _expect_same(network: Network, samples: Samples, predictions: Predictions) -> None:
    """Refuse a network that says something else about the kept test images than the run's did."""
    import torch

    if not len(samples.test_images):
        return
    with torch.inference_mode():
        scores = network.scores(torch.from_numpy(np.ascontiguousarray(samples.test_images))).numpy()
    stored = predictions.logits[samples.test_index]
    difference = float(np.abs(scores - stored).max())
    if not difference <= CLOSE * max(1.0, float(np.abs(stored).max())):
        raise ModelError(
            "built again, the network gives other scores than the run stored",
            found=f"a difference of {difference:.3g}",
            hint="its code has changed since",
        )


def _measured(
    loaded: LoadedModel, network: Network, run: Run, samples: Samples, predictions: Predictions
) -> Measured:
    looks, layer = _looks(loaded, network, run, samples, predictions)
    coverage, effective = _coverage(loaded, run), _effective(loaded, run, samples)
    return Measured(coverage=coverage, effective=effective, looks=looks, looked_at=layer)


def _coverage(loaded: LoadedModel, run: Run) -> Coverage | str:
    from cifar_report.analyzer.coverage_measure import measure_coverage

    try:
        return measure_coverage(loaded.module, run.analysis.input_shape)
    except Problem as error:
        return _sentence(error)


def _effective(loaded: LoadedModel, run: Run, samples: Samples) -> EffectiveField | str:
    import torch

    from cifar_report.reporter.effective_field import measure_effective_field

    spread = np.linspace(0, len(samples.images) - 1, min(IMAGES, len(samples.images))).astype(int)
    if not len(spread):
        return "no images were kept in this run"
    mean, std = (np.array(values, dtype=np.float32) for values in (run.config.mean, run.config.std))
    pixels = (samples.images[spread].astype(np.float32) / 255 - mean) / std
    try:
        images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        return measure_effective_field(loaded.module, run.analysis, images)
    except Problem as error:
        return _sentence(error)


def _looks(
    loaded: LoadedModel, network: Network, run: Run, samples: Samples, predictions: Predictions
) -> tuple[tuple[Look, ...] | str, str]:
    from cifar_report.reporter.grad_cam import grad_cam, last_map_layer

    layer = last_map_layer(run.analysis)
    if layer is None:
        return "the network has no map to look at", ""
    wrong = len(samples.test_images[:LOOKED_AT])
    images = np.concatenate([samples.test_images[:LOOKED_AT], samples.images])
    try:
        heat = grad_cam(loaded.module, layer, network.scores, images)
    except ValueError as error:
        return one_line(str(error)), ""
    guesses = heat.scores.argmax(axis=1)
    confidences = _confidences(heat.scores)
    right = _right_ones(guesses[wrong:], samples.labels)

    def look(place: int, truth: int, index: int | None) -> Look:
        return Look(
            image=images[place],
            heat=heat.maps[place],
            split="training" if index is None else "test",
            index=index,
            truth=truth,
            guess=int(guesses[place]),
            confidence=float(confidences[place]),
        )

    tested = samples.test_index[:wrong].tolist()
    return (
        *(look(wrong + place, int(samples.labels[place]), None) for place in right),
        *(look(place, int(predictions.labels[index]), index) for place, index in enumerate(tested)),
    ), layer


def _confidences(scores: NDArray[np.float32]) -> NDArray[np.float64]:
    shifted = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = 100 * shifted.max(axis=1) / shifted.sum(axis=1)
    return shares


def _right_ones(guesses: NDArray[np.int64], labels: NDArray[np.int64]) -> list[int]:
    """Return places of images that were guessed right, each of another class as long as there are any."""
    places = np.flatnonzero(guesses == labels)
    seen: dict[int, int] = {}
    rank = {}
    for place in places.tolist():
        label = int(labels[place])
        rank[place] = (seen.get(label, 0), label)
        seen[label] = seen.get(label, 0) + 1
    return sorted(rank, key=rank.__getitem__)[:LOOKED_AT]
