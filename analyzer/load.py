"""From a network's name to the network.

The file's folder is importable while it is loaded, its `__main__` part doesn't run, and what it prints goes
to standard error. Each way to fail is one message with the line of the user's file.
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from cifar_report.analyzer.errors import ModelError, UsageError
from cifar_report.analyzer.load_build import build, example
from cifar_report.analyzer.load_choose import Candidate, candidates, choose
from cifar_report.analyzer.load_failure import import_failure
from cifar_report.analyzer.load_guest import guest, run_file
from cifar_report.analyzer.load_spec import Call, Spec, parse_spec


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A network and where it came from."""

    name: str
    """A name that loads the same network again, such as `model.py:Net`."""
    module: nn.Module
    source: Path | None
    """The file that defines it."""
    note: str = ""
    """What was chosen where the file has several networks; empty where there was nothing to choose."""


def load_model(spec: str) -> LoadedModel:
    """Load a network by name.

    Args:
        spec: `model.py`, `model.py:Net`, `model.py:build()`, `model.py:Net(num_classes=10)`,
            `package.module:Net` or a built-in name. Arguments are Python literals.

    Raises:
        UsageError: the name can't be read, or there is no such file, module or built-in network.
        ModelError: the file fails on import, has no network or several, or the network can't be built.
    """
    from cifar_report.models import registry

    parsed = parse_spec(spec, registry.names())
    if parsed.kind == "built-in":
        network = registry.build(spec)
        return LoadedModel(spec, network, _file_of(sys.modules[type(network).__module__]))
    folder = _user_file(parsed).parent if parsed.kind == "file" else Path.cwd()
    with guest(folder, parsed.target):
        module = _import_file(parsed, folder) if parsed.kind == "file" else _import_module(parsed, folder)
        return _network_of(module, parsed, folder)


def _user_file(spec: Spec) -> Path:
    """Return the file, absolute and without links, or say why it can't be one."""
    path = Path(spec.target)
    near = [] if path.exists() else _near_files(path)
    if not path.exists():
        hint = f"did you mean {' or '.join(near)}?" if near else "name a Python file that defines the network"
        raise UsageError(f"there is no file {spec.target}", hint=hint)
    if path.is_dir():
        inside = sorted(str(file) for file in path.glob("*.py"))[:5]
        hint = f"name a file in it: {', '.join(inside)}" if inside else "name a Python file"
        raise UsageError(f"{spec.target} is a folder", expected="a Python file", hint=hint)
    if path.suffix != ".py":
        raise UsageError(f"{spec.target} is not a Python file", expected="a file that ends in .py")
    return path.resolve()


def _near_files(path: Path) -> list[str]:
    """Return Python files in the same folder whose names are close to a missing one's."""
    names = [file.name for file in path.parent.glob("*.py")]
    wanted = path.name if path.suffix == ".py" else f"{path.name}.py"
    return [str(path.parent / name) for name in difflib.get_close_matches(wanted, names, n=3)]


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

    near = difflib.get_close_matches(spec.target, registry.names(), n=2) + _near_files(Path(spec.target))
    if spec.call is None and "." not in spec.target:
        hint = (
            f"did you mean {' or '.join(near)}?" if near else "`cifar-report models` lists the built-in ones"
        )
        return UsageError(f"there is no built-in network, file or module {spec.target!r}", hint=hint)
    hint = f"did you mean {' or '.join(near)}?" if near else "a file is named with its ending: model.py:Net"
    return UsageError(f"there is no module {missing!r}, which {spec.text} names", hint=hint)


def _network_of(module: ModuleType, spec: Spec, folder: Path) -> LoadedModel:
    """Find the named network in an imported module, or the one that it means, and build it."""
    source = _file_of(module)
    if spec.call is not None:
        value, call = _named(module, spec, spec.call, source), spec.call
        name, note = spec.text, ""
    else:
        found = candidates(module, source.read_bytes()) if source else ()
        chosen = choose(found)
        if chosen is None:
            raise _several(found, spec) if found else _none(module, spec)
        value, call = chosen.value, Call(chosen.name, False)
        name = f"{spec.target}:{chosen.name}"
        note = _choice(chosen, found, spec) if len(found) > 1 else ""
    return LoadedModel(name, build(value, call, spec.target, folder), source, note)


def _named(module: ModuleType, spec: Spec, call: Call, source: Path | None) -> Any:
    """Return what a dotted name stands for in a module."""
    value: Any = module
    for part in call.name.split("."):
        if not hasattr(value, part):
            found = [c.name for c in candidates(module, source.read_bytes())] if source else []
            public = [name for name in dir(value) if not name.startswith("_")]
            near = difflib.get_close_matches(part, public, n=3, cutoff=0.5)
            hint = f"did you mean {' or '.join(near)}?" if near else ""
            raise ModelError(
                f"{spec.target} has no {call.name!r}", found=", ".join(found) or "no network", hint=hint
            )
        value = getattr(value, part)
    return value


def _several(found: Sequence[Candidate], spec: Spec) -> ModelError:
    """Return the message that lists the networks of a file."""
    rows = [f"{c.name} (line {c.line}{_remark(c)})" for c in found]
    first = next((c for c in reversed(found) if c.user is None), found[-1])
    hint = f"name one: {example(f'{spec.target}:{first.name}', first.needs)}"
    return ModelError(
        f"{spec.target} defines several networks", found=("\n" + " " * 12).join(rows), hint=hint
    )


def _remark(candidate: Candidate) -> str:
    """Return what speaks against a candidate."""
    needs = f", needs {', '.join(candidate.needs)}" if candidate.needs else ""
    return needs + (f", used by {candidate.user}" if candidate.user else "")


def _choice(chosen: Candidate, found: Sequence[Candidate], spec: Spec) -> str:
    """Return the sentence that says what was chosen."""
    others = ", ".join(f"{c.name}{_remark(c)}" for c in found if c is not chosen)
    return f"{spec.target} defines {len(found)} networks; taking {chosen.name} (not {others})"


def _none(module: ModuleType, spec: Spec) -> ModelError:
    """Return the message for a file without a network, with what there was instead."""
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    own = [name for name, value in public.items() if getattr(value, "__module__", None) == module.__name__]
    imported = [
        name for name, value in public.items() if isinstance(value, type) and issubclass(value, nn.Module)
    ]
    found = ", ".join([*own, *(f"{name} (imported)" for name in imported)]) or "no class and no function"
    likely = next(iter([*own, *imported]), "Net")
    return ModelError(
        f"{spec.target} defines no network",
        expected="a class derived from torch.nn.Module, or a function that returns one",
        found=found,
        hint=f"if one of these makes a network, name it: {spec.target}:{likely}",
    )


def _file_of(module: ModuleType) -> Path | None:
    """Return a module's Python file."""
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file and file.endswith(".py") else None
