"""What went wrong in somebody's file, told by its own lines instead of a traceback."""

from __future__ import annotations

import importlib.util
import traceback
from pathlib import Path

from cifar_report.analyzer.errors import ModelError

PACKAGES = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "skimage": "scikit-image",
    "sklearn": "scikit-learn",
    "yaml": "pyyaml",
}
"""Modules whose package has another name."""


def import_failure(error: BaseException, shown: str, folder: Path) -> ModelError:
    """Return the message for a file or module that couldn't be imported.

    Args:
        error: what the import raised.
        shown: how the user named the file or module.
        folder: where the user's files lie.
    """
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        return syntax_failure(error, shown)
    if isinstance(error, SystemExit):
        return run_failure(
            error,
            f"{shown} ended the program while it was imported",
            folder,
            hint='put what runs the file below `if __name__ == "__main__":`',
        )
    hint = _import_hint(error, folder) if isinstance(error, ImportError) else ""
    return run_failure(error, f"{shown} could not be imported", folder, hint=hint)


def syntax_failure(error: SyntaxError, shown: str) -> ModelError:
    """Return the message with the line, and a caret below the place."""
    file = shown_path(Path(error.filename or ""))
    text = (error.text or "").rstrip("\n")
    indent = len(text) - len(text.lstrip())
    column = max((error.offset or 1) - 1 - indent, 0)
    picture = f"\n    {text.strip()}\n    {' ' * column}^" if text.strip() else ""
    other = "" if Path(shown).name == Path(file).name else f" (imported by {shown})"
    return ModelError(f"{file}, line {error.lineno}: syntax error: {error.msg}{other}{picture}")


def run_failure(error: BaseException, what: str, folder: Path, *, hint: str = "") -> ModelError:
    """Return the message for an exception of the user's code, with the line that it came from."""
    reason = " ".join(str(error).split())[:300]
    raised = f"{type(error).__name__}: {reason}" if reason else type(error).__name__
    where = _line(error, folder)
    return ModelError(f"{what}: {raised}", found=where, hint=hint)


def shown_path(path: Path) -> str:
    """Return a path as it is shortest: relative if it lies below the current folder."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _line(error: BaseException, folder: Path) -> str:
    """Return `model.py, line 3: text` for the innermost line of the user's own files."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(Path(frame.filename), folder)]
    if not own:
        return ""
    return f"{shown_path(Path(own[-1].filename))}, line {own[-1].lineno}: {own[-1].line}"


def _is_own(file: Path, folder: Path) -> bool:
    """Tell a user's file from libraries and from us, who may all lie below the user's folder."""
    if not file.is_relative_to(folder) or file.parent == Path(__file__).parent:
        return False
    return not {"site-packages", "dist-packages"} & set(file.relative_to(folder).parts)


def _import_hint(error: ImportError, folder: Path) -> str:
    """Return what to do about an import that failed."""
    if "relative import" in str(error):
        return "write `from blocks import Block`, or name it package.module:Net from the folder above"
    if not isinstance(error, ModuleNotFoundError) or not error.name:
        return "check the name, and the version of the library that it is imported from"
    top = error.name.partition(".")[0]
    if top != error.name and importlib.util.find_spec(top):
        return f"{top} is installed, but has no {error.name}: check the name and the version"
    for parent in folder.parents:
        if (parent / top).is_dir() or (parent / f"{top}.py").is_file():
            return f"{top} lies in {shown_path(parent)}: go there and name the network package.module:Net"
    return f"pip install {PACKAGES.get(top, top)}"
