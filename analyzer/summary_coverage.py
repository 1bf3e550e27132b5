"""Density and alignment in words, one line each, and as a column."""

from __future__ import annotations

from math import floor

from cifar_report.analyzer.coverage import Alignment, Coverage, Density, Holes, Join

_SHOWN = 3
"""Joins that are told one by one."""


def coverage_lines(coverage: Coverage | None) -> list[tuple[str, str]]:
    """Return density and alignment as (label, text); nothing where they weren't measured."""
    if coverage is None:
        return []
    before, output = coverage.before_gap, coverage.output
    lines = [
        (
            "Density",
            f"{_density(before)} of the field before global pooling{_holes(before, coverage.holes)}; "
            f"{_density(output)} at the output",
        )
    ]
    if coverage.alignment.compared or coverage.alignment.unknown:
        lines.append(("Alignment", _alignment(coverage.alignment)))
    return lines


def density_cell(density: Density) -> str:
    """Return a share as `29 %`, or `unknown`. Only a field without holes is `100 %`."""
    return "unknown" if density.share is None else percent(density.share)


def percent(share: float) -> str:
    """Return a share as a percentage, rounded down to one decimal: `99.9 %`."""
    return f"{floor(1000 * share) / 10:g} %"


def _density(density: Density) -> str:
    if density.share is None:
        return f"unknown ({density.cause})"
    if density.visible is None or percent(density.visible) == percent(density.share):
        return percent(density.share)
    return f"{percent(density.share)} ({percent(density.visible)} on the image)"


def _holes(density: Density, holes: Holes | None) -> str:
    if holes is None:
        return ""
    kind = "corners left out" if density.per_axis and min(density.per_axis) == 1 else "holes"
    return f", {kind} from {holes.layer} on{_reason(holes)}"


def _reason(holes: Holes) -> str:
    if holes.dilations:
        some = len(holes.dilations) > 1
        return f" ({'gridding: dilations' if some else 'dilation'} {', '.join(holes.dilations)})"
    return f" (it joins fields of {holes.gap[1]} px, {holes.gap[0]} px apart)" if holes.gap else ""


def _alignment(alignment: Alignment) -> str:
    joins = f"{alignment.compared} {'join' if alignment.compared == 1 else 'joins'} of branches"
    text = f"{joins}, centres agree" if alignment.compared else "no branches to compare"
    if alignment.misaligned:
        shown = [_join(join) for join in alignment.misaligned[:_SHOWN]]
        more = len(alignment.misaligned) - len(shown)
        rest = f"; {more} more" if more else ""
        text = f"{len(alignment.misaligned)} of {joins} off centre: {'; '.join(shown)}{rest}"
    if alignment.unknown:
        some = ", ".join(alignment.unknown[:_SHOWN]) + (", ..." if len(alignment.unknown) > _SHOWN else "")
        text += f"; {len(alignment.unknown)} can't be compared ({some})"
    return text


def _join(join: Join) -> str:
    sizes = [f"{size:g}" for size in join.spread]
    spread = sizes[0] if len(set(sizes)) == 1 else "x".join(sizes)
    return f"{join.layer} by {spread} px ({'; '.join(join.branches)})"
