from __future__ import annotations

import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.cli.program import call

run = partial(call, "draw")


@pytest.fixture
def small(tmp_path: Path) -> str:
    """A network for pictures of 16 x 24 pixels."""
    path = tmp_path / "small.py"
    path.write_text(
        "from torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1))\n"
    )
    return str(path)


def test_without_a_file_the_graph_goes_to_standard_output() -> None:
    result = run("document_003")
    assert result.exit_code == 0
    assert ET.fromstring(result.stdout).tag == "{http://www.w3.org/2000/svg}svg"
    assert result.stderr == ""


@pytest.mark.parametrize("picture", ["graph", "growth", "boxes", "effective"])
def test_every_picture_is_written_as_svg(small: str, tmp_path: Path, picture: str) -> None:
    result = run(small, "--input", "3,16,24", "--picture", picture, "--samples", 1, "-o", tmp_path / "a.svg")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == ""
    assert ET.parse(tmp_path / "a.svg").getroot().tag == "{http://www.w3.org/2000/svg}svg"


@pytest.mark.parametrize("picture", ["growth", "boxes", "effective"])
def test_pictures_are_written_as_png_and_described(small: str, tmp_path: Path, picture: str) -> None:
    file = tmp_path / "A.PNG"
    result = run(small, "--input", "3,16,24", "--picture", picture, "--samples", 1, "-o", file)
    assert result.exit_code == 0, result.stderr
    with Image.open(file) as image:
        assert image.format == "PNG"
        assert image.width > 1000
    assert "eceptive field" in result.stderr
    assert [path.name for path in tmp_path.iterdir() if path.suffix.lower() == ".png"] == ["A.PNG"]


def test_mermaid_is_fenced_in_markdown_only(tmp_path: Path) -> None:
    run("document_003", "-o", tmp_path / "a.md")
    run("document_003", "-o", tmp_path / "a.mmd")
    bare = (tmp_path / "a.mmd").read_text(encoding="utf-8")
    assert bare.startswith("flowchart TD\n")
    assert (tmp_path / "a.md").read_text(encoding="utf-8") == f"```mermaid\n{bare}```\n"


def test_the_theme_can_be_chosen(small: str, tmp_path: Path) -> None:
    corner = {}
    for name in ("light", "dark"):
        file = tmp_path / f"{name}.png"
        run(small, "--input", "3,16,24", "--picture", "boxes", "--theme", name, "-o", file)
        with Image.open(file) as image:
            corner[name] = image.convert("RGB").getpixel((1, 1))
    assert corner == {"light": (255, 255, 255), "dark": (13, 17, 23)}


def test_boxes_are_drawn_on_the_users_picture(small: str, tmp_path: Path) -> None:
    Image.new("RGB", (30, 20), (12, 200, 34)).save(tmp_path / "green.jpg", quality=100)
    run(
        small,
        "--input",
        "3,16,24",
        "--picture",
        "boxes",
        "--image",
        tmp_path / "green.jpg",
        "-o",
        tmp_path / "a.png",
    )
    with Image.open(tmp_path / "a.png") as image:
        colours = image.convert("RGB").getcolors(1_000_000)
    assert any(abs(r - 12) + abs(g - 200) + abs(b - 34) < 12 for _, (r, g, b) in colours)


def test_the_effective_field_is_averaged_over_a_folder(small: str, tmp_path: Path) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        Image.effect_noise((40, 30), 60 + number).save(folder / f"{number}.png")
    result = run(
        small, "--input", "3,16,24", "--picture", "effective", "--image", folder, "-o", tmp_path / "a.svg"
    )
    assert result.exit_code == 0, result.stderr
    assert "averaged over 3 images" in result.stderr


def test_the_effective_field_is_that_of_the_weights(small: str, tmp_path: Path) -> None:
    """Weights that are 0 but for one pixel of each kernel: the unit is moved by a single pixel."""
    one = torch.zeros(4, 3, 3, 3)
    one[:, :, 2, 2] = 1
    other = torch.zeros(4, 4, 3, 3)
    other[:, :, 0, 0] = 1
    bias = torch.zeros(4)
    state = {"0.weight": one, "0.bias": bias, "1.weight": other, "1.bias": bias}
    torch.save(state, tmp_path / "weights.pt")
    result = run(
        small, "--input", "3,16,24", "--picture", "effective", "--weights", tmp_path / "weights.pt",
        "-o", tmp_path / "a.svg",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    assert "95.45 % of the gradient within 1 \N{MULTIPLICATION SIGN} 1 px" in result.stderr


def test_a_network_known_by_name_is_measured_with_values(tmp_path: Path) -> None:
    result = run(
        "torchvision:squeezenet1_1", "--input", "3,64,64", "--picture", "effective", "--samples", 1,
        "-o", tmp_path / "a.svg",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-o", "a.png"], "--picture graph can't be written as a.png"),
        (["--picture", "growth", "-o", "a.md"], "--picture growth can't be written as a.md"),
        (["--picture", "boxes", "-o", "a"], "--picture boxes can't be written as a"),
        (["--image", "a.png"], "--image has no use for --picture graph"),
        (["--picture", "boxes", "--image", "missing.png"], "there is no picture missing.png"),
        (["--picture", "effective", "--samples", "0"], "--samples"),
        (["--picture", "film"], "film"),
    ],
)
def test_wrong_usage_is_said_before_anything_is_written(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("document_003", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_was_there_survives_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_text("mine")
    broken = tmp_path / "broken.py"
    broken.write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return x.no\n"
    )
    assert run(broken, "-o", tmp_path / "a.svg").exit_code == 3
    assert (tmp_path / "a.svg").read_text() == "mine"


def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    result = run("document_003", "--picture", "growth", "-o", tmp_path / "missing" / "a.png")
    assert result.exit_code == 2
    assert "can't write" in result.stderr
