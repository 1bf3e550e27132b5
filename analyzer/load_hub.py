"""Networks of repositories on GitHub, through torch.hub: it downloads, asks for trust, runs their code."""

from __future__ import annotations

import ast
from difflib import get_close_matches
from pathlib import Path
from urllib.error import HTTPError, URLError

import torch
from torch import nn

from cifar_report.analyzer.errors import ModelError, Problem, UsageError, did_you_mean
from cifar_report.analyzer.load_failure import run_failure
from cifar_report.analyzer.load_guest import Home
from cifar_report.analyzer.load_hollow import hollow, quiet
from cifar_report.analyzer.load_spec import Call, Spec
from cifar_report.analyzer.load_zoo import refuse_downloads


def build_hub(spec: Spec, home: Home, *, values: bool) -> nn.Module:
    """Return the network that a repository's `hubconf.py` builds.

    Args:
        spec: of kind `hub`.
        home: where torch.hub keeps repositories; becomes this one's folder.
        values: allocate and initialise its weights.

    Raises:
        UsageError: the repository can't be had, or isn't trusted.
        ModelError: it has no such network, lacks a library, or fails.
    """
    assert spec.call is not None
    refuse_downloads(spec.call, spec.target)
    repository, call, cache = spec.target.removeprefix("hub:"), spec.call, home.folder

    def load() -> nn.Module:
        network = torch.hub.load(  # type: ignore[no-untyped-call]  # untyped in torch
            repository, call.name, *call.args, trust_repo="check", verbose=False, **call.kwargs
        )
        if isinstance(network, nn.Module):
            return network
        raise ModelError(f"{spec.text} returned no network", found=type(network).__name__)

    try:
        # Nothing is asked or downloaded twice: hollow runs again what fails, so it has to be here first.
        return quiet(load) if values or _folder(repository, cache) is None else hollow(load)
    except Problem:
        raise
    except (Exception, SystemExit) as error:
        raise _failure(error, spec, call, _folder(repository, cache)) from error
    finally:
        home.folder = _folder(repository, cache) or cache


def _folder(repository: str, cache: Path) -> Path | None:
    """Return where torch.hub has put a repository; without a branch it takes `main`, else `master`."""
    name, _, branch = repository.partition(":")
    for ref in [branch] if branch else ["main", "master"]:
        folder = cache / f"{name}_{ref}".replace("/", "_")
        if folder.is_dir():
            return folder
    return None


def _failure(error: BaseException, spec: Spec, call: Call, folder: Path | None) -> Problem:
    """Return the message for what torch.hub or the repository raised."""
    repository, _, branch = spec.target.removeprefix("hub:").partition(":")
    if isinstance(error, KeyError) and isinstance(error.__context__, HTTPError):
        error = error.__context__  # torch.hub drops a token that it may not have
    said = str(error)
    if folder is None and (isinstance(error, EOFError) or "Untrusted" in said):
        return UsageError(
            f"{spec.text} runs other people's code, which you have not agreed to",
            hint="read it, then trust it once: python -c "
            f"\"import torch; torch.hub.list('{repository}', trust_repo=True)\"",
        )
    if isinstance(error, HTTPError) and error.code == 404:
        return UsageError(
            f"github.com/{repository} has no {branch or 'public repository'}", found=f"{error.url}: {said}"
        )
    if folder is None and (isinstance(error, URLError | OSError) or "internet connection" in said):
        return UsageError(
            f"{repository} could not be downloaded from GitHub",
            found=f"{type(error).__name__}: {said}",
            hint=f"on a machine with a network: git clone https://github.com/{repository}; "
            f"then name {repository.partition('/')[2]}/hubconf.py:{call.name}",
        )
    if folder is None:
        return UsageError(
            f"{spec.target} could not be fetched: {said}", hint="check the owner, the name and the branch"
        )
    if said.startswith("Cannot find callable"):
        names = _entries(folder)
        hint = did_you_mean(get_close_matches(call.name, names, n=3))
        return ModelError(
            f"{spec.target} has no network {call.name!r}", found=", ".join(names[:20]), hint=hint
        )
    missing = said.removeprefix("Missing dependencies: ")
    hint = f"pip install {missing.replace(',', '')}" if missing != said else ""
    return run_failure(error, f"{spec.text} could not be built", folder, hint=hint)


def _entries(folder: Path) -> list[str]:
    """Return the names that a repository offers, read from its `hubconf.py`."""
    body = ast.parse((folder / "hubconf.py").read_bytes()).body
    names = [node.name for node in body if isinstance(node, ast.FunctionDef)]
    for node in body:
        if isinstance(node, ast.ImportFrom):
            names += [alias.asname or alias.name for alias in node.names]
    return [name for name in names if not name.startswith("_")]
