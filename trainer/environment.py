"""Where a run took place."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

_LIBRARIES = (
    "cifar-report",
    "torch",
    "torchvision",
    "albumentations",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "safetensors",
    "scikit-learn",
)


def describe_environment(device: str) -> dict[str, Any]:
    """Return versions, device, threads and the commit of the current folder, as JSON-ready data."""
    return {
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": {name: found for name in _LIBRARIES if (found := _version(name))},
        "device": torch.cuda.get_device_name() if device == "cuda" else _cpu_name(),
        "cuda": torch.version.cuda if device == "cuda" else None,
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "commit": _commit(),
    }


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    """Return the processor's name; Linux tells it only here."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _commit() -> str | None:
    """Return the commit that is checked out here, `-dirty` with changes; None without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
