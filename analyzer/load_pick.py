"""From an imported file to the network in it: the one that was named, or the one that the file means."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from torch import nn

from cifar_report.analyzer.errors import ModelError, did_you_mean
from cifar_report.analyzer.load_build import build, example
from cifar_report.analyzer.load_choose import Candidate, Source, candidates, choose
from cifar_report.analyzer.load_spec import Call, Spec


def pick(source: Source, spec: Spec, folder: Path) -> tuple[str, nn.Module, str]:
    """Find a network in what was imported, and build it.

    Args:
        source: the imported file, module or notebook.
        spec: its name, with or without the network's own.
        folder: where the user's files lie.

    Returns:
        A name that loads it again, the network, and what was chosen where there are several.

    Raises:
        ModelError: there is none, or several, or it can't be built.
    """
    if spec.call is not None:
        value = _named(source, spec, spec.call)
        return spec.text, _built(source, value, spec.call, spec.target, folder), ""
    found = candidates(source)
    chosen = choose(found)
    if chosen is None:
        raise _several(found, spec) if found else _none(source, spec)
    note = _choice(chosen, found, spec) if len(found) > 1 else ""
    network = _built(source, chosen.value, Call(chosen.name, False), spec.target, folder)
    return f"{spec.target}:{chosen.name}", network, note


def _built(source: Source, value: Any, call: Call, target: str, folder: Path) -> nn.Module:
    """Build a network; for what a notebook's cells don't provide, say why they don't."""
    try:
        return build(value, call, target, folder)
    except ModelError as error:
        cause = error.__cause__
        reason = source.reason(cause.name) if isinstance(cause, NameError) else None
        raise reason or error from cause


def _named(source: Source, spec: Spec, call: Call) -> Any:
    """Return what a dotted name stands for in a module."""
    value: Any = source.module
    for part in call.name.split("."):
        if not hasattr(value, part):
            if value is source.module and (reason := source.reason(part)):
                raise reason
            found = [candidate.name for candidate in candidates(source)]
            public = [name for name in dir(value) if not name.startswith("_")]
            hint = did_you_mean(get_close_matches(part, public, n=3, cutoff=0.5))
            raise ModelError(
                f"{spec.target} has no {call.name!r}", found=", ".join(found) or "no network", hint=hint
            )
        value = getattr(value, part)
    return value


def _several(found: Sequence[Candidate], spec: Spec) -> ModelError:
    """Return the message that lists the networks of a file."""
    rows = [f"{c.name} ({c.place}{_remark(c)})" for c in found]
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


def _none(source: Source, spec: Spec) -> ModelError:
    """Return the message for a file without a network, with what there was instead."""
    imports = [node for node in source.body if isinstance(node, ast.Import | ast.ImportFrom)]
    imported = {(alias.asname or alias.name).partition(".")[0] for node in imports for alias in node.names}
    lost = [reason for name, reason in source.absent.items() if name not in imported]
    if lost:
        return lost[0]
    module = source.module
    public = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    own = [name for name, value in public.items() if getattr(value, "__module__", None) == module.__name__]
    others = [
        name for name, value in public.items() if isinstance(value, type) and issubclass(value, nn.Module)
    ]
    found = ", ".join([*own, *(f"{name} (imported)" for name in others)]) or "no class and no function"
    likely = next(iter([*own, *others]), "Net")
    return ModelError(
        f"{spec.target} defines no network",
        expected="a class derived from torch.nn.Module, or a function that returns one",
        found=found,
        hint=f"if one of these makes a network, name it: {spec.target}:{likely}",
    )
