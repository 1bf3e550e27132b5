"""A second opinion: fvcore and torchscan on the same network, beside our figures, and why they differ.

Both count something else than we do, and say so: fvcore's "flops" and torchscan's MACs are
multiply-accumulates to which they add normalisation and pooling; fvcore leaves out operators that it has
no formula for; torchscan counts modules and no functions, and its receptive field is that of the module
alone, on its first kernel axis. Each difference is explained by what the tool itself lists (its operators
and its warnings); where that explains nothing, the row says so.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from inspect import signature
from typing import Any

from torch import nn

from cifar_report.analyzer.analysis import Analysis, Layer, ReceptiveField
from cifar_report.analyzer.costs import FREE, MOVES, OTHER
from cifar_report.analyzer.second_opinion_tools import Count, ToolReport, ask_fvcore, ask_torchscan

UNEXPLAINED = "for no reason that we know"

_PRODUCTS = {"conv", "linear", "addmm", "matmul", "bmm", "mm", "einsum"}
"""What fvcore counts that we call MACs; the rest of its operators is normalisation, pooling, resizing."""

_NO_PRODUCTS = {*FREE, *MOVES, *OTHER}
"""Operators that fvcore may leave out without missing a multiply-accumulate."""


@dataclass(frozen=True, slots=True)
class Row:
    """One layer: our figure, theirs, and why they differ. Costs are its own, without its children's."""

    layer: str
    type: str
    macs: int | None
    """Ours; None is unknown."""
    fvcore: int | None
    """None where it has no figure."""
    torchscan: int | None
    receptive_field: ReceptiveField
    """Ours, with respect to the network's input."""
    torchscan_field: float | None
    """Theirs [px], with respect to the layer's own input."""
    reasons: tuple[str, ...]
    """Empty where all agree."""


@dataclass(frozen=True, slots=True)
class SecondOpinion:
    """What two other tools say of the same network."""

    model: str
    params: int
    macs: int | None
    tools: tuple[ToolReport, ...]
    rows: tuple[Row, ...]
    """Every layer that costs something in anybody's eyes, in the order of the network."""

    def to_dict(self) -> dict[str, Any]:
        """Return plain dicts and tuples, ready for `json.dumps`."""
        return asdict(self)


def second_opinion(module: nn.Module, analysis: Analysis, inputs: Any = None) -> SecondOpinion:
    """Ask fvcore and torchscan about a network that was analysed.

    They run on copies, so that neither the network nor the process is changed, and really compute: it
    takes as long as two forward passes. A tool that fails has a report that says how.

    Args:
        module: the network that `analysis` is about.
        analysis: ours.
        inputs: what the network was called with, as `analyze` takes it; by default the tensors that
            `analysis` names, which is enough unless they were nested in lists or dicts.

    Raises:
        ModuleNotFoundError: fvcore or torchscan isn't installed.
    """
    called_with = _inputs_of(module, analysis) if inputs is None else inputs
    fvcore = ask_fvcore(module, called_with)
    torchscan = ask_torchscan(module, called_with)
    return SecondOpinion(
        model=analysis.model,
        params=analysis.totals.params,
        macs=analysis.totals.macs,
        tools=(fvcore, torchscan),
        rows=compare_layers(analysis, fvcore, torchscan),
    )


def _inputs_of(module: nn.Module, analysis: Analysis) -> Any:
    """Return the analysed inputs: by position, as fvcore insists, where they are the first arguments."""
    specs = analysis.inputs
    names = [spec.name for spec in specs]
    if len(specs) < 2:
        return [replace(specs[0], name=None)] if specs else analysis.input_shape
    if names == list(signature(module.forward).parameters)[: len(names)]:
        return [replace(spec, name=None) for spec in specs]
    return {spec.name: replace(spec, name=None) for spec in specs}


def compare_layers(analysis: Analysis, fvcore: ToolReport, torchscan: ToolReport) -> tuple[Row, ...]:
    """Lay three sets of figures side by side, a row per module that costs something in any of them."""
    kernels = _kernels(analysis)
    rows = []
    for path, layers in _by_module(analysis).items():
        own = [layer.macs for layer in layers]
        macs = None if None in own else sum(figure for figure in own if figure is not None)
        theirs = (_count(fvcore, path), _count(torchscan, path))
        if macs == 0 and not any(count is not None and count.macs for count in theirs):
            continue
        module = next((layer for layer in layers if layer.kind == "module"), layers[-1])
        reasons = (
            *_fvcore_reasons(macs, theirs[0]),
            *_torchscan_reasons(macs, theirs[1], layers, torchscan, kernels.get(path, ())),
        )
        rows.append(
            Row(
                layer=path,
                type=module.type,
                macs=macs,
                fvcore=theirs[0].macs if theirs[0] else None,
                torchscan=theirs[1].macs if theirs[1] else None,
                receptive_field=layers[0].receptive_field if len(layers) == 1 else module.receptive_field,
                torchscan_field=theirs[1].field if theirs[1] else None,
                reasons=reasons,
            )
        )
    return tuple(rows)


def _by_module(analysis: Analysis) -> dict[str, list[Layer]]:
    """Gather rows by module: its calls, and the functions that it calls, which are named after it."""
    found: dict[str, list[Layer]] = {}
    for layer in analysis.layers:
        path = layer.name.rpartition(".")[0] if layer.kind == "function" else layer.name
        found.setdefault(path, []).append(layer)
    return found


def _kernels(analysis: Analysis) -> dict[str, tuple[int, ...]]:
    """Return the window of every layer that has one."""
    return {
        analysis.layers[operator.layer].name: tuple(operator.attributes["kernel"])
        for operator in analysis.operators
        if operator.attributes.get("kernel")
    }


def _count(report: ToolReport, path: str) -> Count | None:
    return None if report.failure else report.layers.get(path)


def _fvcore_reasons(ours: int | None, theirs: Count | None) -> list[str]:
    """Say which of its operators make fvcore's figure differ."""
    if theirs is None or ours == theirs.macs:
        return []
    if ours is None:
        return ["ours is unknown: an operator without a rule"]
    products = sum(figure for op, figure in theirs.operators.items() if op in _PRODUCTS)
    added = [op for op, figure in theirs.operators.items() if op not in _PRODUCTS and figure]
    reasons = [f"fvcore adds {', '.join(added)}"] if added else []
    missing = [op for op in theirs.missing if op not in _NO_PRODUCTS]
    if products < ours and missing:
        reasons.append(f"fvcore has no formula for {', '.join(missing)}")
    elif products != ours:
        reasons.append(f"fvcore counts other products than we do, {UNEXPLAINED}")
    return reasons


def _torchscan_reasons(
    ours: int | None, theirs: Count | None, layers: list[Layer], report: ToolReport, kernel: tuple[int, ...]
) -> list[str]:
    """Say what it is about this kind of layer that makes torchscan's figures differ."""
    if report.failure:
        return []
    reasons = []
    if len(set(kernel)) > 1 and theirs is not None and theirs.field is not None:
        reasons.append(f"torchscan's field reads the first axis of {'x'.join(map(str, kernel))} only")
    if theirs is None or (theirs.macs is None and ours):
        functions = [layer.type for layer in layers if layer.kind == "function" and layer.macs]
        if functions:
            reasons.append(f"torchscan sees no functions: {', '.join(dict.fromkeys(functions))}")
        elif ours:
            reasons.append("torchscan looks at its parts only" if theirs else "torchscan saw no call of it")
        return reasons
    if ours is None or theirs.macs is None or ours == theirs.macs:
        return reasons
    kind = layers[-1].type
    if theirs.missing:
        reasons.append(f"torchscan has no formula for {', '.join(theirs.missing)}")
    elif ours == 0:
        subject = "normalisation" if "Norm" in kind else "pooling" if "Pool" in kind else kind
        reasons.append(f"torchscan adds {subject}")
    elif "ConvTranspose" in kind:
        reasons.append("torchscan multiplies the kernel with each output element; each input element has one")
    else:
        reasons.append(f"torchscan differs {UNEXPLAINED}")
    return reasons
