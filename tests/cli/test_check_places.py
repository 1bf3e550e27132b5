"""Each metric means the same wherever its constraint stands: command line, assignment's file, pyproject.toml.

The figures of its network, by hand: weights 3*8*9 + 8*9 + 8*8 + 8*10*9 = 1,072, each used on 16x16 units;
the field is 3 px, then +4 and +8 at stride 2: 15, and GAP over 16x16 adds 15 x 2.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.program import call

MODEL = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8, affine=False), nn.ReLU(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False), nn.Conv2d(8, 8, 1, bias=False),
            nn.Conv2d(8, 10, 3, padding=2, dilation=2, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )
"""

EXPECTED = {
    "params < 100k": ("met", "1,072"),
    "params < 1k": ("not met", "1,072"),
    "trainable_params == 1_072": ("met", "1,072"),
    "macs <= 40M": ("met", "274,432"),
    "flops <= 0.0001G": ("not met", "548,864"),
    "rf > 52": ("not met", "45"),
    "rf.before_gap <= 15": ("met", "15"),
    "depthwise_separable >= 2": ("not met", "1"),
    "dilated >= 1": ("met", "1"),
    "gap == 1": ("met", "1"),
    "fc_after_gap == 0": ("met", "0"),
    "max_pool == 0": ("met", "0"),
    "avg_pool != 0": ("not met", "0"),
    "strided_conv == 1": ("met", "1"),
    "transposed_conv == 0": ("met", "0"),
    "downsampling.strided_3x3 == 3": ("not met", "1"),
    "downsampling.max_pool == 0": ("met", "0"),
    "downsampling == 1": ("met", "1"),
    "blocks == 2": ("met", "2"),
    "layers(Linear) == 0": ("met", "0"),
    "layers(Conv2d) == 4": ("met", "4"),
    "downsampling.strided_3x3 == 3 or dilated >= 1": ("met", "1"),
    "test_accuracy >= 87%": ("not measured", None),
    "test_accuracy >= 99.4 sustained 3 epochs": ("not measured", None),
    "epochs <= 20": ("not measured", None),
    "augmentation has CoarseDropout(holes=1, height=16, width=16)": ("not measured", None),
    "device == cuda": ("not measured", None),
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def by_option(project: Path) -> list[str]:
    return [part for text in EXPECTED for part in ("--require", text)]


def by_assignment(project: Path) -> list[str]:
    path = project / "mine.toml"
    path.write_text(f'id = "mine"\ntitle = "Mine"\nconstraints = {json.dumps(list(EXPECTED))}\n')
    return ["--assignment", "mine.toml"]


def by_settings(project: Path) -> list[str]:
    path = project / "pyproject.toml"
    path.write_text(f"[tool.cifar-report]\nrequire = {json.dumps(list(EXPECTED))}\n")
    return []


def by_settings_and_assignment(project: Path) -> list[str]:
    by_assignment(project)
    (project / "pyproject.toml").write_text('[tool.cifar-report]\nassignment = "mine.toml"\n')
    return []


@pytest.mark.parametrize("place", [by_option, by_assignment, by_settings, by_settings_and_assignment])
def test_every_metric_is_judged_alike_wherever_it_stands(project: Path, place) -> None:
    result = call("check", "model.py", *place(project), "--format", "json")
    verdicts = json.loads(result.stdout)["verdicts"]
    assert {row["constraint"]: (row["state"], row["measured"]) for row in verdicts} == EXPECTED
    assert [row["constraint"] for row in verdicts] == list(EXPECTED)
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("written", "caret", "message"),
    [
        ("parms < 100k", "^", "did you mean params"),
        ("rf => 52", "   ^", "one of < <= == != >= >"),
        ("params < 100 kilo", "             ^", "units are k, M, G and %"),
        ("gap == 1 or depthwise >= 2", "            ^", "did you mean depthwise_separable"),
        ("layers(Linear == 0", "      ^", "a type of layer in parentheses"),
        ("augmentation has CorseDropout", "                 ^", "CoarseDropout"),
    ],
)
@pytest.mark.parametrize("place", ["option", "assignment", "settings"])
def test_a_mistake_gets_a_caret_below_it_and_exit_code_2_wherever_it_stands(
    project: Path, place: str, written: str, caret: str, message: str
) -> None:
    arguments = ["--require", written] if place == "option" else []
    if place == "assignment":
        text = f'id = "mine"\ntitle = "Mine"\nconstraints = [{json.dumps(written)}]\n'
        (project / "mine.toml").write_text(text)
        arguments = ["--assignment", "mine.toml"]
    if place == "settings":
        (project / "pyproject.toml").write_text(f"[tool.cifar-report]\nrequire = [{json.dumps(written)}]\n")
    result = call("check", "model.py", *arguments)
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    place_of_text = lines.index(f"  {written}")
    assert lines[place_of_text + 1] == f"  {caret}"
    assert message in "\n".join(lines)
