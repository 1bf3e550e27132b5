"""Trace an image network and say what it costs and what it sees."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cifar_report.analyzer.analysis import Analysis
    from cifar_report.analyzer.assemble import analyze

__all__ = ["Analysis", "analyze"]


def __getattr__(name: str) -> Any:
    """Import on first use: reading an analysis or printing an error needs no torch."""
    if name == "analyze":
        from cifar_report.analyzer.assemble import analyze

        return analyze
    if name == "Analysis":
        from cifar_report.analyzer.analysis import Analysis

        return Analysis
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
