from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cifar_report.analyzer.analysis import Analysis
from cifar_report.reporter import figures, theme
from cifar_report.reporter.facts import Facts, gather
from cifar_report.reporter.measured import Measured
from cifar_report.trainer.run import read_run

FROM_THE_NETWORK = {"diagram", "effective_field", "attention"}
"""What the made-up run lacks, because there is no network behind it."""
SAMPLE = Path(__file__).parents[2] / "sample_reports" / "digits"
NAMES_THAT_MATPLOTLIB_COULD_MISREAD = ("$x$ \\frac", "🐱", "猫", "_hidden", "a" * 60, "<b>", "")


def all_files(pictures: dict[str, figures.Picture | None], folder: Path) -> list[Path]:
    """Return every variant of every picture."""
    return [
        folder / path for picture in pictures.values() if picture for path in (picture.light, picture.dark)
    ]


def missing(pictures: dict[str, figures.Picture | None]) -> set[str]:
    """Return the keys without a picture."""
    return {key for key, picture in pictures.items() if picture is None}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory, synthetic: dict[str, Any]) -> tuple[dict[str, Any], Path]:
    """All pictures of the made-up run, and the folder that they lie in."""
    folder = tmp_path_factory.mktemp("drawn")
    facts = gather(synthetic["write_run"](folder / "run"))
    return figures.draw_all(facts, folder), folder


def test_a_complete_run_gets_every_picture_in_both_variants(drawn: tuple[dict[str, Any], Path]) -> None:
    pictures, folder = drawn
    assert set(pictures) == set(figures.KEYS)
    assert missing(pictures) == FROM_THE_NETWORK
    names = {path.name for path in all_files(pictures, folder)}
    assert names == {path.name for path in (folder / "figures").iterdir()}
    assert len(names) == 2 * (len(figures.KEYS) - len(FROM_THE_NETWORK))


def test_pictures_have_the_common_width_and_something_on_them(drawn: tuple[dict[str, Any], Path]) -> None:
    for path in all_files(*drawn):
        if path.suffix == ".png":
            with Image.open(path) as image:
                assert image.width == theme.WIDTH * theme.PNG_DPI
                assert len(image.convert("RGB").resize((90, 30)).getcolors(2700)) > 10
        else:
            root = ET.parse(path).getroot()
            assert root.get("width") == f"{theme.WIDTH * 72:g}pt"
            assert len(root.findall(".//{http://www.w3.org/2000/svg}path")) > 20


def test_variants_have_their_own_background(drawn: tuple[dict[str, Any], Path]) -> None:
    pictures, folder = drawn
    samples = pictures["samples"]
    with Image.open(folder / samples.light) as light, Image.open(folder / samples.dark) as dark:
        assert light.convert("RGB").getpixel((2, 2)) == (255, 255, 255)
        assert dark.convert("RGB").getpixel((2, 2)) == (13, 17, 23)


def test_sample_images_are_drawn_pixel_by_pixel(
    drawn: tuple[dict[str, Any], Path], synthetic: dict[str, Any]
) -> None:
    pictures, folder = drawn
    with Image.open(folder / pictures["samples"].light) as image:
        drawn_colors = {tuple(color) for color in np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()}
    original = synthetic["pictures"](synthetic["CLASSES"])["images"].reshape(-1, 3)
    assert {tuple(color) for color in original.tolist()} <= drawn_colors


def test_the_same_facts_give_the_same_bytes(
    drawn: tuple[dict[str, Any], Path], run_folder: Path, tmp_path: Path
) -> None:
    pictures, folder = drawn
    again = figures.draw_all(gather(run_folder), tmp_path)
    for first, second in zip(all_files(pictures, folder), all_files(again, tmp_path), strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name


@pytest.mark.parametrize("variant", theme.THEMES, ids=lambda variant: variant.name)
def test_every_colour_that_letters_have_stands_out_from_the_paper(variant: theme.Theme) -> None:
    def luminance(color: str) -> float:
        """Relative luminance as WCAG 2.2 defines it."""
        channels = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for color in (variant.ink, variant.muted, variant.first, variant.second, variant.third):
        for ground in (variant.paper, variant.band):
            dark, light = sorted((luminance(color), luminance(ground)))
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (color, ground)


def test_alt_texts_say_the_figures(drawn: tuple[dict[str, Any], Path]) -> None:
    alts = {key: picture.alt for key, picture in drawn[0].items() if picture}
    assert "80.00 % in the last, 4; the best is 81.00 % in epoch 3" in alts["curves"]
    assert "circle 80.0 %, square 80.0 % and cross 80.0 %" in alts["per_class"]
    assert "24 of 30" in alts["confusion"]
    assert "43 px" in alts["receptive_field"]
    assert "circle taken for square" in alts["misclassified"]
    assert "HorizontalFlip and CoarseDropout" in alts["augmentation"]
    assert "circle, square and cross" in alts["samples"]


def test_confidence_is_the_softmax_of_the_guess(drawn: tuple[dict[str, Any], Path]) -> None:
    expected = 100 * np.exp(3.0) / (np.exp(3.0) + 2)
    assert f"({expected:.1f} %)" in drawn[0]["misclassified"].alt


def test_an_interrupted_run_gets_only_what_it_has(write_run: Callable[..., Path], tmp_path: Path) -> None:
    pictures = figures.draw_all(gather(write_run(tmp_path / "run", done=2)), tmp_path)
    assert {key for key, picture in pictures.items() if picture} == {
        "receptive_field",
        "field_boxes",
        "curves",
    }


def test_names_are_drawn_as_text_whatever_they_are(write_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", classes=NAMES_THAT_MATPLOTLIB_COULD_MISREAD)
    pictures = figures.draw_all(gather(folder), tmp_path)
    assert missing(pictures) == FROM_THE_NETWORK


def test_undrawable_names_become_class_numbers_and_long_ones_are_cut() -> None:
    assert theme.drawable(["猫", "cat 猫", "a" * 30], 12) == ["class 0", "cat", "a" * 11 + "…"]


@pytest.mark.parametrize("classes", [2, 25])
def test_few_and_many_classes_fit(write_run: Callable[..., Path], tmp_path: Path, classes: int) -> None:
    names = tuple(f"kind {number}" for number in range(classes))
    pictures = figures.draw_all(gather(write_run(tmp_path / "run", classes=names)), tmp_path)
    assert missing(pictures) == FROM_THE_NETWORK


def test_one_epoch_and_losses_that_are_no_numbers_can_be_drawn(
    synthetic: dict[str, Any], tmp_path: Path
) -> None:
    folder = synthetic["write_run"](tmp_path / "run", epochs=3, done=1)
    line = (folder / "history.jsonl").read_text(encoding="utf-8")
    (folder / "history.jsonl").write_text(
        line.replace('"test_loss": 1.2', '"test_loss": NaN'), encoding="utf-8"
    )
    assert figures.draw_all(gather(folder), tmp_path)["curves"] is not None


def test_a_network_without_a_local_field_has_no_growth_picture(
    synthetic: dict[str, Any], tmp_path: Path
) -> None:
    data = synthetic["analysis"]().to_dict()
    for layer in data["layers"]:
        layer["receptive_field"] = {"kind": "unknown", "cause": "grid_sample"}
    folder = synthetic["write_run"](tmp_path / "run", done=2)
    (folder / "analysis.json").write_text(Analysis.from_dict(data).to_json(), encoding="utf-8")
    facts = Facts(read_run(folder), (), None, None, None, Measured("none", "none", "none", ""))
    drawn = figures.draw_all(facts, tmp_path)
    assert drawn["receptive_field"] is None
    assert drawn["field_boxes"] is None


def test_a_run_with_its_network_gets_the_pictures_that_take_one(tmp_path: Path) -> None:
    facts = gather(SAMPLE)
    assert facts.run.metrics
    # Six that are recognised, and as many that aren't, where there are so many.
    looked_at = 6 + min(6, facts.run.metrics.count - facts.run.metrics.correct)
    drawn = figures.draw_all(facts, tmp_path)
    assert missing(drawn) <= {"calibration"}
    alts = {key: picture.alt for key, picture in drawn.items() if picture}
    assert "document_003" in alts["diagram"]
    assert "averaged over 16 images" in alts["effective_field"]
    assert alts["attention"].startswith(f"Where the network looks, on {looked_at} images: ")
