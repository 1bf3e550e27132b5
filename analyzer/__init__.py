"""Trace an image network and say what it costs and what it sees."""

from cifar_report.analyzer.analysis import Analysis
from cifar_report.analyzer.analyze import analyze

__all__ = ["Analysis", "analyze"]
