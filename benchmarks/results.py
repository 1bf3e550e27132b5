"""Put a table into RESULTS.md between its markers, and say what machine it comes from."""

from __future__ import annotations

import datetime
import os
import platform
import re
from collections.abc import Sequence
from pathlib import Path

RESULTS = Path(__file__).with_name("RESULTS.md")


def machine() -> str:
    """Return the machine in general words."""
    cpuinfo = Path("/proc/cpuinfo")
    names = re.findall(
        r"model name\s*: (.*)", cpuinfo.read_text(encoding="utf-8") if cpuinfo.exists() else ""
    )
    return f"{os.cpu_count()} cores, {names[0] if names else platform.machine()}, {platform.system()}"


def today() -> str:
    """Return the date."""
    return datetime.date.today().isoformat()


def table(header: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> str:
    """Return a Markdown table; all columns but the first `words` are figures."""
    rule = ["---" if column < words else "---:" for column in range(len(header))]
    lines = [header, rule, *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def write_section(name: str, text: str) -> None:
    """Replace what stands between a section's markers; a new section goes to the end."""
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    old = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else "# Results\n"
    section = f"{start}\n{text.strip()}\n{end}"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    new = pattern.sub(lambda _: section, old) if pattern.search(old) else f"{old.rstrip()}\n\n{section}\n"
    beside = RESULTS.with_suffix(".tmp")
    beside.write_text(new, encoding="utf-8")
    beside.replace(RESULTS)
