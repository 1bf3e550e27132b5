"""Several run folders into one page: README.md, report.html and a picture of their curves."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import matplotlib as mpl
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from cifar_report.analyzer.errors import UsageError
from cifar_report.reporter import figures, render
from cifar_report.reporter import theme as themes
from cifar_report.reporter.comparison_words import compare
from cifar_report.reporter.facts import Facts, gather
from cifar_report.reporter.figures import Picture
from cifar_report.reporter.page import embedded
from cifar_report.reporter.theme import Theme
from cifar_report.reporter.wording import listing, percent, plural
from cifar_report.reporter.write import HTML, README, place_files

KEY = "comparison"
STYLES = ("-", "--", ":", "-.")


def write_comparison(
    folders: Sequence[Path], out: Path, *, templates: Path | None = None
) -> tuple[Path, ...]:
    """Write a page on several runs; all of it or nothing.

    Raises:
        UsageError: not run folders, the same one twice, facts that contradict each other, or a folder that
            can't be written or holds a page which isn't one of ours.
    """
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise UsageError("a run is named twice", found=", ".join(map(str, folders)))
    names = run_names(folders)
    runs = [gather(folder, with_network=False) for folder in folders]
    words = compare(runs, names, version("cifar-report"))
    with place_files(out, (README, HTML)) as workshop:
        picture = _draw(runs, names, workshop)
        (workshop / README).write_text(render.comparison(words, picture, templates=templates), "utf-8")
        page = render.comparison_page(
            words, picture, lambda path: embedded(workshop / path), templates=templates
        )
        (workshop / HTML).write_text(page, "utf-8")
    return out / README, out / HTML


def run_names(folders: Sequence[Path]) -> list[str]:
    """Return the shortest ends of the folders' paths that tell them apart."""
    parts = [folder.resolve().parts for folder in folders]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError(f"the same folder twice: {folders}")


def _draw(runs: Sequence[Facts], names: Sequence[str], folder: Path) -> Picture | None:
    """Draw accuracy over the epochs, or nothing where no epoch was done."""
    (folder / figures.FOLDER).mkdir()
    if not any(facts.run.history for facts in runs):
        return None
    light, dark = (Path(figures.FOLDER, f"{KEY}-{theme.name}.svg") for theme in themes.THEMES)
    with themes.drawing():
        for theme, path in zip(themes.THEMES, (light, dark), strict=True):
            themes.save(_curves(runs, names, theme), folder / path)
    return Picture(KEY, _describe(runs, names), "Accuracy of every run over the epochs", light, dark)


def _curves(runs: Sequence[Facts], names: Sequence[str], theme: Theme) -> Figure:
    made = themes.figure(4.4, theme)
    axes = themes.chart(made, (0.75, 0.55, 5.6, 3.2), theme)
    few = [theme.first, theme.second, theme.third]
    lowest, highest = (0.0, 0.75) if theme.name == "light" else (0.35, 1.0)
    for place, (facts, name) in enumerate(zip(runs, themes.drawable(names, 34), strict=True)):
        share = lowest + (highest - lowest) * place / max(1, len(runs) - 1)
        colour = few[place] if len(runs) <= len(few) else to_hex(mpl.colormaps["viridis"](share))
        history = facts.run.history
        axes.plot(
            [epoch.epoch for epoch in history],
            [epoch.accuracy for epoch in history],
            STYLES[place % len(STYLES)],
            color=colour,
            label=name,
            linewidth=1.8,
            marker="." if len(history) < 15 else "",
        )
    axes.legend(frameon=False, labelcolor=theme.ink, fontsize=9, loc="upper left", bbox_to_anchor=(1.01, 1))
    axes.grid(axis="y", color=theme.line, linewidth=0.6)
    axes.set_xlabel("Epoch", color=theme.muted, fontsize=9)
    judged = {facts.run.history[-1].judged_on for facts in runs if facts.run.history}
    themes.heading(axes, "Accuracy [%]", f"on {listing(sorted(judged))} images", theme)
    return made


def _describe(runs: Sequence[Facts], names: Sequence[str]) -> str:
    parts = [
        f"{name} ends at {percent(facts.run.history[-1].accuracy)} after"
        f" {plural(len(facts.run.history), 'epoch')}"
        for facts, name in zip(runs, names, strict=True)
        if facts.run.history
    ]
    return f"Accuracy over the epochs: {'; '.join(parts)}."
