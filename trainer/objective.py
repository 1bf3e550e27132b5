"""What training makes small, and the plain figures that are recorded beside it."""

from __future__ import annotations

import torch
from torch.nn import functional

from cifar_report.trainer.mixing import Batch


def cross_entropies(
    scores: torch.Tensor, batch: Batch, smoothing: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean cross-entropy with label smoothing, and without it.

    Source of the smoothing: Szegedy et al., 2015 (arXiv 1512.00567), section 7; a class gets
    `smoothing / classes`, its own the rest besides.

    Args:
        scores: (B, classes), logits or log-probabilities.
        batch: of these images; the classes of mixed ones count by their shares.
        smoothing: 0..1.
    """
    logs = functional.log_softmax(scores, dim=1)
    plain = functional.nll_loss(logs, batch.labels)
    if batch.partners is not None:
        plain = batch.share * plain + (1 - batch.share) * functional.nll_loss(logs, batch.partners)
    if not smoothing:
        return plain, plain
    return (1 - smoothing) * plain - smoothing * logs.mean(), plain


def hits(scores: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Return how many images have the highest score at their class; mixed ones count by their shares."""
    guesses = scores.argmax(dim=1)
    own = (guesses == batch.labels).sum()
    if batch.partners is None:
        return own
    return batch.share * own + (1 - batch.share) * (guesses == batch.partners).sum()


def distillation(scores: torch.Tensor, teacher: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the divergence from a teacher's softened probabilities, per image.

    Source: Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", 2015 (arXiv
    1503.02531), section 2: times the temperature squared, so that its gradients keep their size.

    Args:
        scores: (B, classes) of the network.
        teacher: (B, classes).
        temperature: above 0; what both are divided by.
    """
    mine = functional.log_softmax(scores / temperature, dim=1)
    theirs = functional.log_softmax(teacher / temperature, dim=1)
    divergence = functional.kl_div(mine, theirs, reduction="batchmean", log_target=True)
    return temperature**2 * divergence
