from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from cifar_report.analyzer.analysis import Analysis, ReceptiveField
from cifar_report.analyzer.assemble import analyze
from cifar_report.analyzer.errors import UsageError
from cifar_report.models import registry
from cifar_report.reporter import theme
from cifar_report.reporter.field_pictures import describe_boxes, draw_boxes, field_boxes
from cifar_report.reporter.field_pictures_geometry import Box, drawable, image_of, surroundings, unit_box
from cifar_report.reporter.field_pictures_image import pattern, read_image, read_images

TIMES = "\N{MULTIPLICATION SIGN}"


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.after = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return self.after(x * x.mean((2, 3), keepdim=True))


def boxes_of(network: nn.Module, size: tuple[int, ...] = (3, 32, 48)) -> dict[str, Box]:
    return {row.layer: row.box for row in field_boxes(analyze(network, size))}


# Geometry


def test_a_box_is_centred_on_the_unit_nearest_to_the_middle() -> None:
    """Three by three without padding: unit 0 sees pixels 0 to 2, and of 30 units 14 and 15 are the middle."""
    (box,) = boxes_of(nn.Conv2d(3, 1, 3), (3, 32, 33)).values()
    assert (box.top, box.bottom) == (14.5, 17.5)
    assert (box.left, box.right) == (14.5, 17.5)


def test_each_axis_has_its_own_size() -> None:
    boxes = boxes_of(
        nn.Sequential(nn.Conv2d(3, 3, (5, 1), padding=(2, 0)), nn.Conv2d(3, 3, (1, 9), stride=(1, 2)))
    )
    assert [(box.height, box.width) for box in boxes.values()] == [(5, 1), (5, 9)]


LAYERS = {
    "3x3": nn.Conv2d(3, 2, 3, padding=1),
    "strided": nn.Sequential(nn.Conv2d(3, 2, 5, stride=3, padding=1), nn.Conv2d(2, 2, (3, 1))),
    "pooled": nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(3, 2, 3), nn.AvgPool2d((3, 2))),
    "dilated": nn.Sequential(nn.Conv2d(3, 2, 2, dilation=(4, 1)), nn.Conv2d(2, 2, 2)),
    "upsampled": nn.Sequential(nn.Conv2d(3, 2, 3, stride=2), nn.ConvTranspose2d(2, 2, 3, stride=2)),
}


@pytest.mark.parametrize("network", LAYERS.values(), ids=LAYERS)
def test_a_box_is_the_footprint_of_its_units_gradient(network: nn.Module) -> None:
    analysis = analyze(network, (3, 41, 56))
    row = field_boxes(analysis)[-1]
    image = torch.ones(1, 3, 41, 56, requires_grad=True)
    for parameter in network.parameters():
        nn.init.ones_(parameter)
    output = network(image)
    assert tuple(output.shape[2:]) == row.map_size
    reached = []
    for unit_row in range(output.shape[2]):
        for unit_column in range(output.shape[3]):
            (gradient,) = torch.autograd.grad(
                output[0, :, unit_row, unit_column].sum(), image, retain_graph=True
            )
            rows, columns = np.nonzero(gradient[0].sum(0).numpy())
            reached.append((rows.min() - 0.5, columns.min() - 0.5, rows.max() + 0.5, columns.max() + 0.5))
    box = (row.box.top, row.box.left, row.box.bottom, row.box.right)
    if row.field.uniform:
        assert box in reached
        centres = [(top + bottom) / 2 for top, _, bottom, _ in reached]
        assert abs((row.box.top + row.box.bottom) / 2 - 20) == min(abs(centre - 20) for centre in centres)
    else:
        inside = [
            a for a in reached if a[0] >= box[0] and a[1] >= box[1] and a[2] <= box[2] and a[3] <= box[3]
        ]
        assert inside, "of fields that differ, the largest is drawn"


def test_a_field_larger_than_the_image_keeps_its_size() -> None:
    boxes = list(boxes_of(registry.build("document_003"), (3, 32, 32)).values())
    assert (boxes[-1].height, boxes[-1].width) == (67, 67)
    assert boxes[-1].top < -0.5
    assert boxes[-1].bottom > 31.5


def test_a_global_field_is_the_whole_image() -> None:
    rows = field_boxes(analyze(Gated(), (3, 20, 30)))
    assert [row.field.kind for row in rows][-1] == "global"
    assert rows[-1].box == Box(-0.5, -0.5, 20, 30)
    assert [row.layer for row in rows] == ["conv", "mean", "mul"]


def test_everything_on_the_picture_has_its_place() -> None:
    top, left, height, width = surroundings([Box(-5, 3, 10, 4)], (20, 30))
    assert top < -5
    assert left < -0.5
    assert top + height > 19.5
    assert left + width > 29.5


def test_a_box_of_more_than_four_images_is_not_drawn() -> None:
    assert drawable(Box(0, 0, 80, 120), (20, 30))
    assert not drawable(Box(0, 0, 81, 120), (20, 30))
    assert not drawable(Box(0, 0, 80, 121), (20, 30))


def test_an_unknown_field_has_no_box() -> None:
    assert unit_box(ReceptiveField("global"), (4, 4), (20, 30)) == Box(-0.5, -0.5, 20, 30)


# Which layers


def test_only_layers_at_which_the_field_grows_are_shown() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 3)
    )
    assert list(boxes_of(network)) == ["0", "4"]


@pytest.mark.parametrize("limit", [3, 5, 9])
def test_of_many_layers_the_last_of_every_map_size_is_kept(limit: int) -> None:
    layers = [nn.MaxPool2d(2) if n in (6, 13) else nn.Conv2d(3, 3, 3, padding=1) for n in range(20)]
    network = nn.Sequential(*layers)
    rows = field_boxes(analyze(network, (3, 64, 64)), limit)
    assert len(rows) == limit
    assert {"5", "12", "19"} <= {row.layer for row in rows}
    sizes = [row.box.height for row in rows]
    assert sizes == sorted(sizes)


def test_a_network_without_maps_has_nothing_to_draw() -> None:
    with pytest.raises(UsageError, match="no layer of"):
        field_boxes(analyze(nn.Sequential(nn.Flatten(), nn.Linear(48, 2)), (3, 4, 4)))


def test_a_sequence_is_no_image() -> None:
    with pytest.raises(UsageError, match="which is no image"):
        image_of(analyze(nn.Conv1d(2, 2, 3), (2, 100)))


# The picture


def texts_of(analysis: Analysis) -> list[str]:
    with theme.drawing():
        figure = draw_boxes(analysis, pattern(image_of(analysis)), theme.LIGHT)
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()
        (axes,) = figure.axes
        frame = figure.bbox
        for text in axes.texts:
            extent = text.get_window_extent(renderer)
            assert frame.x0 <= extent.x0 <= extent.x1 <= frame.x1, text.get_text()
            assert frame.y0 <= extent.y0 <= extent.y1 <= frame.y1, text.get_text()
        places = sorted(text.get_window_extent(renderer).y0 for text in axes.texts)
        assert all(other - one > 5 for one, other in pairwise(places)), "lines overlap"
        return [text.get_text() for text in axes.texts]


@pytest.mark.parametrize("size", [(3, 32, 32), (3, 20, 90), (3, 90, 20)])
def test_the_picture_names_layers_with_sizes_and_cuts_nothing_off(size: tuple[int, ...]) -> None:
    texts = texts_of(analyze(registry.build("document_003"), (3, 32, 32)))
    assert "transblock2.0.depthwise" in texts
    assert f"15 {TIMES} 15 px, stride 4 px; map 8 {TIMES} 8" in texts
    network = nn.Sequential(*[nn.Conv2d(3, 3, (5, 3), padding=(2, 1)) for _ in range(30)])
    assert f"121 {TIMES} 61 px, stride 1 px; map {size[1]} {TIMES} {size[2]}" in " ".join(
        texts_of(analyze(network, size))
    )


def test_long_names_and_names_without_letters_are_drawn() -> None:
    inner: nn.Module = nn.Conv2d(3, 3, 3)
    for name in ("a" * 40, "\u732b\U0001f600", "b" * 50):
        inner = _wrapped(name, inner)
    assert any("…" in text for text in texts_of(analyze(inner, (3, 16, 16))))


def _wrapped(name: str, inner: nn.Module) -> nn.Sequential:
    outer = nn.Sequential()
    outer.add_module(name, inner)
    return outer


def test_a_field_too_large_to_draw_is_listed() -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 3, 3, padding=1), *[nn.Conv2d(3, 3, 31, padding=15) for _ in range(6)]
    )
    texts = texts_of(analyze(network, (3, 16, 16)))
    assert f"183 {TIMES} 183 px, stride 1 px; map 16 {TIMES} 16; too large to draw" in texts


def test_the_image_is_drawn_pixel_by_pixel(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    analysis = analyze(nn.Conv2d(3, 1, 3), (3, 8, 8))
    with theme.drawing():
        theme.save(draw_boxes(analysis, picture, theme.DARK), tmp_path / "boxes.png")
    with Image.open(tmp_path / "boxes.png") as image:
        drawn = {tuple(colour) for colour in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
    assert {tuple(colour) for colour in picture.reshape(-1, 3).tolist()} <= drawn


def test_the_description_has_every_size() -> None:
    words = describe_boxes(analyze(Gated(), (3, 20, 30)))
    assert f"image of 20 {TIMES} 30 px" in words
    assert f"conv 3 {TIMES} 3 px" in words
    assert words.endswith("mul global: the whole image.")


# The image beneath


def test_the_middle_of_a_picture_is_cut_out_and_scaled(tmp_path: Path) -> None:
    wide = np.zeros((10, 40, 3), dtype=np.uint8)
    wide[:, 15:25] = 200
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (read_image(tmp_path / "wide.png", (5, 5)) == 200).all()
    assert read_image(tmp_path / "wide.png", (6, 9)).shape == (6, 9, 3)


def test_a_picture_may_be_grey_or_transparent(tmp_path: Path) -> None:
    for mode in ("L", "RGBA", "P", "1"):
        Image.new(mode, (7, 9)).save(tmp_path / f"{mode}.png")
        assert read_image(tmp_path / f"{mode}.png", (4, 4)).shape == (4, 4, 3)


def test_what_is_no_picture_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    with pytest.raises(UsageError, match="can't read"):
        read_image(tmp_path / "text.png", (4, 4))
    with pytest.raises(UsageError, match="there is no picture"):
        read_image(tmp_path / "missing.png", (4, 4))
    with pytest.raises(UsageError, match="can't read"):
        read_image(tmp_path, (4, 4))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_of_pictures_is_input_of_mean_0_and_deviation_1(tmp_path: Path, channels: int) -> None:
    generator = np.random.default_rng(0)
    (tmp_path / "deeper").mkdir()
    for name in ("a.png", "b.PNG", "deeper/c.jpg"):
        Image.fromarray(generator.integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    images = read_images(tmp_path, (channels, 12, 16))
    assert images.shape == (3, channels, 12, 16)
    assert images.mean(dim=(0, 2, 3)).abs().max() < 1e-4
    assert (images.std(dim=(0, 2, 3), correction=0) - 1).abs().max() < 1e-4


def test_pictures_that_a_network_cannot_take_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no 4 channels"):
        read_images(tmp_path, (4, 8, 8))
    with pytest.raises(UsageError, match="there is no picture in"):
        read_images(tmp_path, (3, 8, 8))


@pytest.mark.parametrize("size", [(32, 32), (5, 90), (1, 1)])
def test_the_pattern_is_grey_and_has_two_shades(size: tuple[int, int]) -> None:
    image = pattern(size)
    assert image.shape == (*size, 3)
    assert (image == image[:, :, :1]).all()
    assert len(np.unique(image)) == (2 if max(size) > 1 else 1)
