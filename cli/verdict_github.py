"""Verdicts for GitHub Actions: an annotation for each that isn't met, and the table as a step summary.

GitHub shows ten errors and ten warnings of a step and drops the rest without a word, so what is over is
summed up in the tenth.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from cifar_report.analyzer.errors import UsageError

if TYPE_CHECKING:
    from cifar_report.analyzer.constraints import Verdict

_SHOWN = 10


def annotate(verdicts: Sequence[Verdict], source: Path | None, class_name: str) -> str:
    """Return workflow commands: errors for what is not met, warnings for what is open, else a notice."""
    place = _place(source, class_name)
    lines = []
    for level, states in (("error", ("not met",)), ("warning", ("unknown", "not measured"))):
        chosen = [verdict for verdict in verdicts if verdict.state in states]
        shown = chosen if len(chosen) <= _SHOWN else chosen[: _SHOWN - 1]
        lines += [_command(level, place, verdict.constraint, _message(verdict)) for verdict in shown]
        rest = [verdict.constraint for verdict in chosen[len(shown) :]]
        if rest:
            lines.append(_command(level, place, f"{len(rest)} more", "; ".join(rest)))
    if not lines:
        lines.append(_command("notice", place, "cifar-report", f"{len(verdicts)} of {len(verdicts)} met"))
    return "\n".join(lines)


def append_summary(path: Path, heading: str, table: str) -> None:
    """Append a heading and a Markdown table to the step summary, which other commands write to as well.

    Raises:
        UsageError: the file can't be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"### {heading}\n\n{table}\n\n")
    except OSError as error:
        raise UsageError(f"can't write the step summary {path}", found=str(error)) from error


def _message(verdict: Verdict) -> str:
    measured = f"measured {verdict.measured}" if verdict.measured else verdict.state
    margin = f", margin {verdict.margin}" if verdict.margin else ""
    return f"{verdict.state}: {measured}{margin}\n{verdict.evidence}"


def _command(level: str, place: str, title: str, message: str) -> str:
    return f"::{level} {place}title={_property(title)}::{_data(message)}"


def _place(source: Path | None, class_name: str) -> str:
    """Return file and line of a network's class, from the checkout's root; nothing for files elsewhere."""
    checkout = Path(os.environ.get("GITHUB_WORKSPACE") or Path.cwd()).resolve()
    path = source.resolve() if source else None
    if path is None or not path.is_relative_to(checkout):
        return ""
    shown = path.relative_to(checkout).as_posix()
    return f"file={_property(shown)},line={_line(path, class_name)},"


def _line(path: Path, class_name: str) -> int:
    """Return the line where a class is defined; 1 for a notebook, or where it comes from elsewhere."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return 1
    found = [node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == class_name]
    return found[-1].lineno if found else 1


def _data(text: str) -> str:
    """Escape a message as the runner unescapes it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a property, in which colons and commas mean something too."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
