"""What a run tells while it works. The trainer never prints; a listener may."""

from __future__ import annotations

from dataclasses import dataclass

from cifar_report.trainer.results import Epoch


@dataclass(frozen=True, slots=True)
class Step:
    """Where an epoch's training stands. Losses are means per image, accuracies in percent."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    images_per_second: float
    """Of all processes together."""
    data_wait: float
    """Share of the epoch's time spent waiting for images, 0..1."""

    @property
    def done(self) -> float:
        """Share of the whole training, 0..1."""
        return ((self.epoch - 1) * self.steps + self.step) / (self.epochs * self.steps)


class Listener:
    """Hears nothing. Override what is of interest; no method may change the run."""

    def note(self, text: str) -> None:
        """Hear one sentence for the user, such as a notice about resized images."""

    def work(self, what: str, done: int, total: int) -> None:
        """Hear that `done` of `total` units of `what` (decoding, downloading) are ready."""

    def step(self, step: Step) -> None:
        """Hear where the training of an epoch stands."""

    def epoch(self, epoch: Epoch, epochs: int) -> None:
        """Hear of an epoch that is trained, evaluated and saved."""


def epoch_line(epoch: Epoch, epochs: int) -> str:
    """Return one plain line on an epoch, the same in `log.txt` and where no terminal listens."""
    return (
        f"epoch {epoch.epoch:>{len(str(epochs))}}/{epochs}"
        f"  train loss {epoch.train_loss:.4f} accuracy {epoch.train_accuracy:6.2f} %"
        f"  {epoch.judged_on} loss {epoch.loss:.4f} accuracy {epoch.accuracy:6.2f} %"
        f" of {epoch.count:,} images"
        f"  {epoch.images_per_second:,.0f} images/s, {100 * epoch.data_wait:.0f} % waiting"
        f"  {epoch.seconds:.1f} s"
    )
