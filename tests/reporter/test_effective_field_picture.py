from __future__ import annotations

import re

import numpy as np
from torch import nn

from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.assemble import analyze
from cifar_report.reporter import theme
from cifar_report.reporter.effective_field import measure_effective_field
from cifar_report.reporter.field_pictures_effective import draw_effective, heat
from tests.reporter.effective_fields import SIZE, measured, positive


def _drawn_texts(analysis: Analysis, network: nn.Module) -> list[str]:
    field = measure_effective_field(network, analysis, count=1)
    with theme.drawing():
        figure = draw_effective(field, theme.LIGHT)
        return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_the_picture_says_both_sizes() -> None:
    network = positive(nn.Sequential(*[nn.Conv2d(3, 3, (3, 1), padding=(1, 0)) for _ in range(8)]))
    texts = " ".join(_drawn_texts(analyze(network, SIZE), network))
    assert "theoretical field: 17 \N{MULTIPLICATION SIGN} 1 px" in texts
    assert re.findall(r"([\d.]+) % of the gradient within", texts) == ["95.45", "50"]


def test_a_field_too_large_to_draw_is_said_and_leaves_the_image_large() -> None:
    network = positive(nn.Sequential(*[nn.Conv2d(3, 3, 11, padding=5) for _ in range(20)]))
    texts = " ".join(_drawn_texts(analyze(network, (3, 16, 24)), network))
    assert "201 \N{MULTIPLICATION SIGN} 201 px; shaded, too large to draw" in texts


def test_the_brightest_pixel_is_the_strongest() -> None:
    field = measured(positive(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1))))
    brightness = heat(field).astype(int).sum(axis=2)
    assert heat(field).shape == (33, 47, 3)
    assert np.unravel_index(brightness.argmax(), (33, 47)) == np.unravel_index(
        field.gradient.argmax(), (33, 47)
    )
    assert brightness.min() == brightness[0, 0]
