"""The wheel: complete, nothing that doesn't belong, and working where no checkout is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["setuptools"]["packages"]
OUTSIDE = {"tests", "benchmarks", "sample_reports", "build", "dist", "runs", "reports", "data"}
DATA = {".safetensors", ".toml", ".j2", ".css", ".js"}


def folders_with_code() -> dict[str, Path]:
    """Return every folder of the package by its import name."""
    found = {}
    for path in sorted(ROOT.rglob("__init__.py")):
        parts = path.parent.relative_to(ROOT).parts
        if parts and parts[0] not in OUTSIDE and not parts[0].startswith("."):
            found[".".join(("cifar_report", *parts))] = path.parent
    return found


def expected_files() -> set[str]:
    """Return what the wheel must hold, from the folders themselves."""
    return {
        f"cifar_report/{path.relative_to(ROOT).as_posix()}"
        for folder in {name.split(".")[1] for name in folders_with_code()}
        for path in (ROOT / folder).rglob("*")
        if path.suffix in {".py", *DATA} or path.name == "py.typed"
    }


def run(command: list[str | Path], folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))
    }
    return subprocess.run(
        command, cwd=folder, env={**clean, **environment}, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy of what is tracked or about to be: never from a stale `build/`."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "source"
    keep = {*(name.split(".")[1] for name in PACKAGES), "pyproject.toml", "README.md", "LICENSE"}
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    copy.mkdir()
    for name in sorted(keep):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, copy / name)
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "build",
        "--wheel",
        "--no-isolation",
        "--outdir",
        folder,
        copy,
    ]
    built = run(command, folder)
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel where nothing else of ours is, and return that environment's folder of programs.

    Third-party libraries come from this environment through a .pth file. Such a file only extends the path:
    the editable install's own .pth, and its import hook with it, isn't read.
    """
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    (packages,) = (*folder.glob("lib/python*/site-packages"), *folder.glob("Lib/site-packages"))
    install: list[str | Path] = [sys.executable, "-m", "pip", "--python", programs / "python", "install"]
    done = run([*install, "--no-deps", "--no-index", "--disable-pip-version-check", wheel], folder)
    assert done.returncode == 0, done.stdout + done.stderr
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return programs


def test_every_folder_with_code_is_a_package() -> None:
    """One that isn't listed works from a checkout and is silently missing from the wheel."""
    assert sorted(folders_with_code()) == sorted(PACKAGES)


def test_every_package_is_typed() -> None:
    assert [name for name, folder in folders_with_code().items() if not (folder / "py.typed").exists()] == []


def test_the_wheel_holds_every_file_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    metadata = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    assert names - metadata == expected_files()
    assert {Path(name).suffix for name in names} >= {".py", ".toml", ".j2"}
    assert any(name.endswith("licenses/LICENSE") for name in metadata)


def test_every_optional_library_is_in_all() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    named = set(everything.partition("[")[2].rstrip("]").split(","))
    assert named == set(extras) - {"all", "dev"}


def test_the_versions_tested_cover_every_dependency() -> None:
    project = PROJECT["project"]
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    named = [name for group in groups for name in group]
    needed = {re.split(r"[^\w-]", name)[0].lower() for name in named} - {"cifar-report"}
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {line.partition("==")[0].lower() for line in lines if "==" in line}
    assert needed - pinned == set()


def test_the_installed_program_is_the_wheels(installed: Path, tmp_path: Path) -> None:
    where = "import cifar_report.analyzer.load as m; print(m.__file__)"
    found = run([installed / "python", "-c", where], tmp_path)
    assert found.returncode == 0, found.stderr
    assert Path(found.stdout.strip()).is_relative_to(installed.parent)


def test_the_installed_program_tells_its_version(installed: Path, tmp_path: Path) -> None:
    told = run([installed / "cifar-report", "--version"], tmp_path)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.split()[-1] == PROJECT["project"]["version"]


@pytest.mark.parametrize(("field", "code"), [("52", 0), ("70", 1)])
def test_the_installed_program_checks_a_network(
    installed: Path, tmp_path: Path, field: str, code: int
) -> None:
    budget: list[str | Path] = ["document_003", "--max-params", "100000", "--min-rf", field]
    checked = run([installed / "cifar-report", "check", *budget], tmp_path, NO_COLOR="1")
    assert checked.returncode == code, checked.stderr
    assert "86,816" in checked.stdout
    assert "67" in checked.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_installed_program_knows_its_assignments(installed: Path, tmp_path: Path) -> None:
    listed = run([installed / "cifar-report", "assignments"], tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert "eva6-s7-late" in listed.stdout
