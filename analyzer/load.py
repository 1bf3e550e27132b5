"""From a network's name to the network.

The file's folder is importable while it is loaded and while the network runs, its `__main__` part doesn't
run, and what it prints goes to standard error. Each way to fail is one message with the user's line.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from torch import hub, nn

from cifar_report.analyzer.errors import UsageError, did_you_mean
from cifar_report.analyzer.load_choose import Source
from cifar_report.analyzer.load_failure import import_failure
from cifar_report.analyzer.load_guest import Home, guest, run_file
from cifar_report.analyzer.load_hollow import is_hollow
from cifar_report.analyzer.load_pick import pick
from cifar_report.analyzer.load_spec import Spec, parse_spec


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network and where it came from."""

    name: str
    """A name that loads the same network again, such as `model.py:Net`."""
    module: nn.Module
    source: Path | None
    """The file that defines it."""
    note: str = ""
    """What the user should know: which of several networks was chosen, whose code ran; or empty."""
    home: Home | None = None
    """Where its code expects its neighbours; None for what is installed."""
    hollow: bool = False
    """Its weights have shapes and no values: `load_model(name)` loads it with them."""
    input_shape: tuple[int, ...] | None = None
    """Of the images that it was made for, without the batch, where that is known."""

    @contextmanager
    def running(self) -> Iterator[None]:
        """Let the network find its own modules, for a `forward` that imports. Enter it to run the network."""
        if self.home is None:
            yield
            return
        with self.home.entered():
            yield


def load_model(spec: str, *, values: bool = True) -> LoadedModel:
    """Load a network by name.

    Args:
        spec: `model.py`, `model.py:Net`, `model.py:build()`, `model.py:Net(num_classes=10)`,
            `notebook.ipynb:Net`, `package.module:Net`, `torchvision:resnet18`, `timm:resnet18`,
            `hub:OWNER/REPO:NAME` or a built-in name. Arguments are Python literals.
        values: give the weights of a collection's network their initial values. An analysis needs none,
            and a network of 600 million parameters then takes no memory.

    Raises:
        UsageError: the name can't be read, or there is no such file, module, library or network.
        ModelError: the file fails on import, has no network or several, or the network can't be built.
    """
    from cifar_report.models import registry

    parsed = parse_spec(spec, registry.names())
    if parsed.kind == "built-in":
        return replace(_loaded(spec, registry.build(spec)), input_shape=registry.input_shape(spec))
    if parsed.kind in ("torchvision", "timm"):
        return _load_zoo(parsed, values)
    if parsed.kind == "hub":
        return _load_hub(parsed, values)
    file = _user_file(parsed) if parsed.kind == "file" else None
    folder = file.parent if file else Path.cwd()
    with guest(folder, parsed.target) as home:
        if file and file.suffix == ".ipynb":
            return _load_notebook(parsed, file, home)
        module = _import_file(parsed, folder) if file else _import_module(parsed, folder)
        path = _file_of(module)
        source = Source(module, ast.parse(path.read_bytes()).body if path else ())
        name, network, note = pick(source, parsed, folder)
        return LoadedModel(name, network, path, note, home)


def _load_zoo(spec: Spec, values: bool) -> LoadedModel:
    """Load a network of an installed collection."""
    from cifar_report.analyzer.load_zoo import build_zoo

    with redirect_stdout(sys.stderr):
        return _loaded(spec.text, build_zoo(spec, values=values))


def _load_hub(spec: Spec, values: bool) -> LoadedModel:
    """Load a network of a repository, whose modules it keeps."""
    from cifar_report.analyzer.load_hub import build_hub

    with guest(Path(hub.get_dir()), spec.target) as home:
        network = build_hub(spec, home, values=values)
        note = f"{spec.text}: ran the code of {spec.target.removeprefix('hub:')} in {home.folder}"
        return _loaded(spec.text, network, note, home)


def _load_notebook(spec: Spec, file: Path, home: Home) -> LoadedModel:
    """Load a network that a notebook defines."""
    from cifar_report.analyzer.load_notebook import run_notebook

    run = run_notebook(file, spec)
    name, network, note = pick(run.source, spec, file.parent)
    gaps = run.gaps(name.removeprefix(f"{spec.target}:").partition("(")[0].strip())
    return LoadedModel(name, network, file, "\n".join(filter(None, (*run.said, note, *gaps))), home)


def _loaded(name: str, network: nn.Module, note: str = "", home: Home | None = None) -> LoadedModel:
    """Return a network that somebody else's file defines, with that file."""
    source = _file_of(sys.modules.get(type(network).__module__))
    return LoadedModel(name, network, source, note, home, is_hollow(network))


def _user_file(spec: Spec) -> Path:
    """Return the file, absolute and without links, or say why it can't be one."""
    path = Path(spec.target)
    near = [] if path.exists() else _near_files(path)
    if not path.exists():
        hint = did_you_mean(near, "name a Python file that defines the network")
        raise UsageError(f"there is no file {spec.target}", hint=hint)
    if path.is_dir():
        inside = sorted(str(file) for file in path.glob("*.py"))[:5]
        hint = f"name a file in it: {', '.join(inside)}" if inside else "name a Python file"
        raise UsageError(f"{spec.target} is a folder", expected="a Python file", hint=hint)
    if path.suffix not in (".py", ".ipynb"):
        raise UsageError(f"{spec.target} is not a Python file", expected="a file that ends in .py or .ipynb")
    return path.resolve()


def _near_files(path: Path) -> list[str]:
    """Return Python files in the same folder whose names are close to a missing one's."""
    names = [file.name for ending in ("py", "ipynb") for file in path.parent.glob(f"*.{ending}")]
    wanted = path.name if path.suffix else f"{path.name}.py"
    return [str(path.parent / name) for name in get_close_matches(wanted, names, n=3)]


def _import_file(spec: Spec, folder: Path) -> ModuleType:
    """Run the user's file."""
    try:
        return run_file(Path(spec.target).resolve())
    except (Exception, SystemExit) as error:
        raise import_failure(error, spec.target, folder) from error


def _import_module(spec: Spec, folder: Path) -> ModuleType:
    """Import a dotted module; the current folder comes first, as for `python -m`."""
    try:
        return importlib.import_module(spec.target)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if missing and f"{spec.target}.".startswith(f"{missing}."):
            raise _nothing_called(spec, missing) from None
        raise import_failure(error, spec.target, folder) from error
    except (Exception, SystemExit) as error:
        raise import_failure(error, spec.target, folder) from error


def _nothing_called(spec: Spec, missing: str) -> UsageError:
    """Return the message for a name that is neither a built-in network's nor a module's."""
    from cifar_report.models import registry

    near = get_close_matches(spec.target, registry.names(), n=2) + _near_files(Path(spec.target))
    if spec.call is None and "." not in spec.target:
        hint = did_you_mean(near, "`cifar-report models` lists the built-in ones")
        return UsageError(f"there is no built-in network, file or module {spec.target!r}", hint=hint)
    hint = did_you_mean(near, "a file is named with its ending: model.py:Net")
    return UsageError(f"there is no module {missing!r}, which {spec.text} names", hint=hint)


def _file_of(module: ModuleType | None) -> Path | None:
    """Return a module's Python file."""
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file and file.endswith(".py") else None
