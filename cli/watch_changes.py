"""What is different between two checks: verdicts that flipped, figures before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cifar_report.analyzer.constraints import Verdict


def changes(before: Sequence[Verdict], after: Sequence[Verdict]) -> Iterator[str]:
    """Yield a line for each constraint that came, went, flipped, or whose figure is another one."""
    old = {verdict.constraint: verdict for verdict in before}
    new = {verdict.constraint: verdict for verdict in after}
    for text, verdict in new.items():
        if text not in old:
            yield f"{text}: new, {_standing(verdict)}"
            continue
        last = old[text]
        parts = []
        if last.state != verdict.state:
            parts.append(f"{last.state} → {verdict.state}")
        if last.measured != verdict.measured:
            parts.append(f"{last.measured or 'no figure'} → {verdict.measured or 'no figure'}")
        if parts:
            state = "" if last.state != verdict.state else f", still {verdict.state}"
            yield f"{text}: {', '.join(parts)}{state}"
    for text in old:
        if text not in new:
            yield f"{text}: no longer asked for"


def _standing(verdict: Verdict) -> str:
    return f"{verdict.state}, {verdict.measured}" if verdict.measured else verdict.state
