"""Several runs on one page."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt
from scipy import stats

from cifar_report.analyzer.errors import UsageError
from cifar_report.cli.main import main
from cifar_report.reporter.comparison import run_names, write_comparison
from cifar_report.reporter.comparison_words import STUDENT_95, mean_interval, seed_sentences
from cifar_report.reporter.facts import Facts, gather


@pytest.fixture
def runs(write_run: Callable[..., Path], tmp_path: Path, edit: Callable[..., None]) -> list[Path]:
    """Three runs: two seeds of one recipe, and one that was stopped, of another."""
    folders = [write_run(tmp_path / "runs" / name) for name in ("one", "two")]
    edit(folders[1] / "config.json", seed=8)
    other = write_run(tmp_path / "runs" / "stopped", epochs=6, done=3)
    return [*folders, other]


def test_one_page_shows_all_runs_side_by_side(runs: list[Path], tmp_path: Path) -> None:
    readme, html = write_comparison(runs, tmp_path / "out")
    text = readme.read_text(encoding="utf-8")
    tokens = MarkdownIt("gfm-like").parse(text)
    assert sum(token.type == "table_open" for token in tokens) == 4
    assert "| Test accuracy, last epoch | 80.00 % | 80.00 % | not measured |" in text
    assert "| Epochs done | 4 of 4 | 4 of 4 | 3 of 6 |" in text
    assert "| rf &gt; 52 |" in text or "| rf > 52 | not met: 43 | not met: 43 | not met: 43 |" in text
    assert "one and two are one recipe with the seeds 7 and 8: mean 80.00 %" in text
    assert "Some of the runs are not complete." in text
    assert (tmp_path / "out" / "figures" / "comparison-dark.svg").is_file()
    page = html.read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count("<table") == 4
    assert "default-src 'none'" in page
    # What is wider than a phone scrolls by itself, so that the page doesn't.
    wide = re.findall(r'(<div class="scroll"[^>]*>\s*)?<(?:table|picture)\b', page)
    assert len(wide) == 5
    assert all(wide)


def test_only_settings_that_differ_are_listed(runs: list[Path], tmp_path: Path) -> None:
    text = write_comparison(runs, tmp_path / "out")[0].read_text(encoding="utf-8")
    settings = text.split("## Settings")[1].split("## Classes")[0]
    assert "| Seed | 7 | 8 | 7 |" in settings
    assert "| Epochs | 4 | 4 | 6 |" in settings
    assert "Batch size" not in settings


def test_mean_and_interval_are_those_of_student() -> None:
    values = [87.2, 86.9, 88.1, 87.5]
    mean, deviation, half = mean_interval(values)
    low, high = stats.t.interval(0.95, 3, loc=np.mean(values), scale=stats.sem(values))
    assert math.isclose(mean - half, low, abs_tol=1e-3)
    assert math.isclose(mean + half, high, abs_tol=1e-3)
    assert math.isclose(deviation, np.std(values, ddof=1))


def test_the_quantiles_are_those_of_student() -> None:
    for freedom, quantile in enumerate(STUDENT_95, start=1):
        assert abs(stats.t.ppf(0.975, freedom) - quantile) < 5e-4


def with_config(facts: Facts, **changes: Any) -> Facts:
    config = dataclasses.replace(facts.run.config, **changes)
    return dataclasses.replace(facts, run=dataclasses.replace(facts.run, config=config))


def test_other_recipes_and_repeated_seeds_give_no_interval(run_folder: Path) -> None:
    facts = gather(run_folder, with_network=False)
    for other in (facts, with_config(facts, seed=9, batch_size=16)):
        (sentence,) = seed_sentences([facts, other], ["a", "b"])
        assert "how much the seed matters is not known" in sentence


def test_names_are_as_short_as_they_can_be() -> None:
    assert run_names([Path("/x/a/run"), Path("/x/b/run")]) == ["a/run", "b/run"]
    assert run_names([Path("/x/a"), Path("/x/b")]) == ["a", "b"]


def test_the_same_run_twice_is_refused(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="named twice"):
        write_comparison([run_folder, run_folder], tmp_path / "out")


def test_a_page_from_somewhere_else_is_not_overwritten(runs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "README.md").write_text("# Mine\n", encoding="utf-8")
    with pytest.raises(UsageError, match="would be overwritten"):
        write_comparison(runs, out)
    assert (out / "README.md").read_text(encoding="utf-8") == "# Mine\n"


def test_the_command_needs_a_folder_to_compare_into(runs: list[Path], tmp_path: Path) -> None:
    refused = CliRunner().invoke(main, ["report", *map(str, runs)])
    assert refused.exit_code == 2
    assert "--out" in refused.stderr
    done = CliRunner().invoke(main, ["report", *map(str, runs), "--out", str(tmp_path / "out")])
    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines() == [str(tmp_path / "out" / name) for name in ("README.md", "report.html")]


def test_hostile_folder_names_stay_text(write_run: Callable[..., Path], tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, done=1) for name in ("a|<script>", "`b` 🐱")]
    tokens = MarkdownIt("gfm-like").parse(
        write_comparison(folders, tmp_path / "out")[0].read_text(encoding="utf-8")
    )
    inline = [child for token in tokens for child in token.children or []]
    assert "script" not in "".join(part.content for part in inline if part.type == "html_inline")
    titles = [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "th_open"][:3]
    assert len(titles) == 3
