"""report.html as a PDF, printed by a Chromium that is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from cifar_report.analyzer.errors import UsageError

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
VARIABLE = "CHROMIUM"
"""Names another program."""
SECONDS = 120


def print_pdf(html: Path, pdf: Path) -> None:
    """Print a self-contained HTML file.

    Raises:
        UsageError: no Chromium is installed, or it fails.
    """
    program = os.environ.get(VARIABLE) or next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        raise UsageError(
            "--format pdf needs a Chromium, and none is installed",
            expected=f"one of {', '.join(NAMES)} on the path, or its path in ${VARIABLE}",
            hint="print report.html to a PDF in a browser",
        )
    with tempfile.TemporaryDirectory() as profile:
        command = [
            program,
            "--headless",
            "--disable-gpu",
            *(["--no-sandbox"] if _is_root() else []),
            "--no-pdf-header-footer",
            f"--user-data-dir={profile}",
            f"--print-to-pdf={pdf.resolve()}",
            html.resolve().as_uri(),
        ]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"{program} can't print the report", found=str(error)) from error
    if done.returncode or not pdf.is_file():
        said = " ".join(done.stderr.split())[-200:]
        raise UsageError(f"{program} can't print the report", found=said or f"exit code {done.returncode}")


def _is_root() -> bool:
    # Chromium refuses to run as root with its sandbox; the page is ours and loads nothing.
    return hasattr(os, "geteuid") and os.geteuid() == 0
