"""Edits of pools and heads: strided convolutions for max pools, global average pooling, layers after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

from torch import nn

from cifar_report.analyzer.advice_channels import group_of
from cifar_report.analyzer.advice_edits import Change, Edit, Recipe, Settings
from cifar_report.analyzer.advice_graph import PER_CHANNEL, Network
from cifar_report.analyzer.analysis import Operator

_GLOBAL = Recipe("AdaptiveAvgPool2d", (1,))
_IDENTITY = Recipe("Identity")


def pools_to_convolutions(network: Network, kind: str) -> Iterator[Edit]:
    """Yield a strided convolution for each pool of a kind: dense, depthwise, or the one before it."""
    for path, layer, operators in _pools(network, kind):
        stride = _first(layer.stride)
        yield from _strided_before(network, path, stride, operators)
        channels = {operator.output_shape[1] for operator in operators}
        recipe = _strided(stride, network.input_map(operators[0]), operators[0].output_shape)
        if recipe is None or len(channels) > 1:
            continue
        text = f"a convolution with stride {stride} in place of {path}"
        yield Edit("pool to convolution", text, _instead(path, recipe))
        if min(channels) >= 4:
            depthwise = Recipe(recipe.kind, recipe.args, (*recipe.options, ("groups", min(channels))))
            text = f"a depthwise convolution with stride {stride} in place of {path}"
            yield Edit("pool to depthwise convolution", text, _instead(path, depthwise))


def _strided_before(
    network: Network, path: str, stride: int, operators: Sequence[Operator]
) -> Iterator[Edit]:
    """Yield the strides that a pool has given to the convolutions before each of its calls."""
    found = [_convolution_before(network, operator) for operator in operators]
    before = [name for name in found if name]
    if len(before) == len(operators):
        strided = [Change(name, (("stride", stride),)) for name in before]
        text = f"give {' and '.join(before)} the stride of {path}, which goes"
        yield Edit("pool to stride", text, (*strided, *_instead(path, _IDENTITY)))


def pools_to_averages(network: Network) -> Iterator[Edit]:
    """Yield an average pool of the same window in place of each max pool."""
    for path, layer, _ in _pools(network, "max_pool"):
        options: Settings = (("stride", layer.stride), ("padding", layer.padding))
        used = tuple([option for option in options if option[1] not in (0, layer.kernel_size)])
        recipe = Recipe("AvgPool2d", (layer.kernel_size,), used)
        yield Edit("average pool", f"an average pool in place of {path}", _instead(path, recipe))


def without_pools(network: Network, kind: str) -> Iterator[Edit]:
    """Yield each pool of a kind taken out: the map behind it stays larger."""
    for path, _, operators in _pools(network, kind):
        if not network.may_resize(operators[-1]):
            continue
        yield Edit("removal", f"take out {path}", _instead(path, _IDENTITY), resizes=True)


def pools_after(network: Network, kind: str) -> Iterator[Edit]:
    """Yield a pool by 2 behind each convolution."""
    recipe = Recipe("MaxPool2d" if kind == "max_pool" else "AvgPool2d", (2,))
    for operator, path, _ in network.convolutions():
        if min(operator.output_shape[2:], default=0) >= 4 and network.may_resize(operator):
            text = f"put a {recipe.kind} behind {path}"
            yield Edit("pool", text, (Change(path, after=(recipe,)),), resizes=True)


def strided_for_pools(network: Network, kernel: int) -> Iterator[Edit]:
    """Yield a convolution with stride 2 and a kernel of that size in place of each pool."""
    for kind in ("max_pool", "avg_pool"):
        for edit in pools_to_convolutions(network, kind):
            recipe = edit.changes[-1].after[0] if edit.changes[-1].after else None
            if recipe is None or recipe.kind != "Conv2d" or recipe.args[2] == kernel:
                yield edit


def average_heads(network: Network) -> Iterator[Edit]:
    """Yield global average pooling where a map is flattened, or where a pool doesn't reach 1x1."""
    yield from _wider_windows(network)
    for operator, path, layer, shape in network.flat_heads():
        channels, classes = shape[1], layer.out_features
        narrow = Change(path, (("in_features", channels),))
        last = operator.output_shape == network.output_shape
        text = f"average the whole map before {path}"
        host = network.host_before(operator)
        if host and isinstance(host[1], nn.MaxPool2d | nn.AvgPool2d):
            yield Edit(
                "average head", f"{text}, in place of {host[0]}", (*_instead(host[0], _GLOBAL), narrow)
            )
        if host and isinstance(host[1], nn.Flatten):
            yield Edit("average head", text, (Change(host[0], before=(_GLOBAL,)), narrow))
        elif host:
            yield Edit("average head", text, (Change(host[0], after=(_GLOBAL,)), narrow))
            if last:
                mixing = Recipe("Conv2d", (channels, classes, 1))
                changes = (Change(host[0], after=(mixing, _GLOBAL)), *_instead(path, _IDENTITY))
                yield Edit("average head without linear", _without(path), changes)
        if host and isinstance(host[1], nn.Flatten) and last:
            mixing = Recipe("Conv2d", (channels, classes, 1))
            changes = (Change(host[0], before=(mixing, _GLOBAL)), *_instead(path, _IDENTITY))
            yield Edit("average head without linear", _without(path), changes)
        unflatten, flatten = Recipe("Unflatten", (1, shape[1:])), Recipe("Flatten")
        change = Change(path, (("in_features", channels),), before=(unflatten, _GLOBAL, flatten))
        yield Edit("average head of the flat map", f"{text}, unflattened first", (change,))
        if last:
            mixing = Recipe("Conv2d", (channels, classes, 1))
            change = Change(path, after=(unflatten, mixing, _GLOBAL, flatten), keep=False)
            yield Edit("average head without linear", f"{_without(path)}, unflattened first", (change,))


def heads_before_average(network: Network) -> Iterator[Edit]:
    """Yield class scores for each unit, averaged after that: nothing with weights behind the pooling."""
    found = [f for f in network.analysis.findings if f.structure == "fc_after_gap" and f.found]
    paths = tuple(dict.fromkeys(finding.layers[0] for finding in found))
    gap = next((finding.layers[1] for finding in found), "")
    shape = network.output_shape
    if not paths or any(path not in network.modules for path in paths) or not shape:
        return
    gone = tuple([change for path in paths for change in _instead(path, _IDENTITY)])
    classes = shape[1]
    pooling = next(o for o in network.analysis.operators if network.analysis.layers[o.layer].name == gap)
    channels = network.input_map(pooling)[1]
    mixing = Recipe("Conv2d", (channels, classes, 1))
    text = f"class scores for each unit before {gap}, in place of {' and '.join(paths)}"
    leaf = network.leaf(pooling)
    if leaf:
        yield Edit("head before average", text, (Change(leaf[0], before=(mixing,)), *gone))
    host = network.host_before(pooling)
    if host and not leaf:
        yield Edit("head before average", text, (Change(host[0], after=(mixing,)), *gone))
    writer = _writer_before(network, pooling)
    group = group_of(network, writer) if writer else None
    if group:
        others = tuple([change for change in group.resized(classes) if change.path not in paths])
        text = f"{classes} channels behind {group.name}, and no {' and '.join(paths)}"
        yield Edit("classes from the last convolution", text, (*others, *gone))


def linear_removals(network: Network) -> Iterator[Edit]:
    """Yield one linear layer less between two others; the next reads what it read."""
    linears = [
        (operator, *leaf)
        for operator in network.analysis.operators
        if operator.op in ("linear", "addmm") and (leaf := network.leaf(operator))
    ]
    for (_, path, layer), (_, later, following) in pairwise(linears):
        if type(layer) is nn.Linear and type(following) is nn.Linear:
            narrow = Change(later, (("in_features", layer.in_features),))
            yield Edit("removal", f"take out {path}", (*_instead(path, _IDENTITY), narrow))


def linear_widths(network: Network) -> Iterator[Edit]:
    """Yield hidden linear layers with a half and a quarter of their units."""
    for operator in network.analysis.operators:
        leaf = network.leaf(operator) if operator.op in ("linear", "addmm") else None
        following = _linear_after(network, operator) if leaf else None
        if leaf and following and type(leaf[1]) is nn.Linear:
            path, old = leaf[0], leaf[1].out_features
            for units in (units for units in (old // 2, old // 4, old // 8) if units > 1):
                changes = (
                    Change(path, (("out_features", units),)),
                    Change(following, (("in_features", units),)),
                )
                yield Edit("width", f"{units} units instead of {old} behind {path}", changes)


def layer_removals(network: Network, kind: str) -> Iterator[Edit]:
    """Yield one layer of a type less, where its input and output have one shape."""
    for row in network.analysis.layers:
        if row.type == kind and row.kind == "module" and row.leaf and row.input_shape == row.output_shape:
            yield Edit("removal", f"take out {row.name}", _instead(row.name, _IDENTITY))


def fixed_pooling(network: Network) -> tuple[Change, ...]:
    """Return what lets global average pools with a fixed window follow the size of their map."""
    names = {f.layers[0] for f in network.analysis.findings if f.structure == "gap" and f.found}
    found = [name for name in sorted(names) if isinstance(network.modules.get(name), nn.AvgPool2d)]
    return tuple([change for name in found for change in _instead(name, _GLOBAL)])


def _wider_windows(network: Network) -> Iterator[Edit]:
    for finding in network.analysis.findings:
        name = finding.layers[0]
        if finding.structure != "gap" or finding.found:
            continue
        module = network.modules.get(name)
        pools = (nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d, nn.MaxPool2d)
        if not isinstance(module, pools) or network.calls[name] != 1:
            continue
        changes = _instead(name, _GLOBAL)
        for operator, path, layer, shape in network.flat_heads():
            before = network.input_of(operator)
            if before is not None and layer.in_features != shape[1]:
                changes += (Change(path, (("in_features", shape[1]),)),)
        yield Edit("whole window", f"let {name} average the whole map", changes)


def _pools(network: Network, kind: str) -> Iterator[tuple[str, nn.MaxPool2d | nn.AvgPool2d, list[Operator]]]:
    """Yield the pools with a window that are layers of their own, with every call of each."""
    wanted = nn.MaxPool2d if kind == "max_pool" else nn.AvgPool2d
    found: dict[str, list[Operator]] = {}
    for operator in network.analysis.operators:
        leaf = network.leaf(operator) if operator.op.startswith(kind) else None
        if leaf and isinstance(leaf[1], wanted) and max(operator.output_shape[2:], default=1) > 1:
            found.setdefault(leaf[0], []).append(operator)
    for path, operators in found.items():
        layer = network.modules[path]
        assert isinstance(layer, nn.MaxPool2d | nn.AvgPool2d)
        yield path, layer, operators


def _strided(stride: int, before: tuple[int, ...], after: tuple[int, ...]) -> Recipe | None:
    """Return a convolution that takes a map of one shape to another: 3x3 where it can, else 2x2."""
    for kernel, padding in ((3, 1), (2, 0), (3, 0)):
        sizes = [(size + 2 * padding - kernel) // stride + 1 for size in before[2:]]
        if tuple(sizes) == tuple(after[2:]):
            options: Settings = (("stride", stride),) + ((("padding", padding),) if padding else ())
            return Recipe("Conv2d", (before[1], after[1], kernel), options)
    return None


def _convolution_before(network: Network, operator: Operator) -> str | None:
    writer = _writer_before(network, operator)
    leaf = network.leaf(writer) if writer else None
    if leaf and type(leaf[1]) is nn.Conv2d and max(leaf[1].stride) == 1 and max(leaf[1].kernel_size) > 1:
        return leaf[0]
    return None


def _writer_before(network: Network, operator: Operator) -> Operator | None:
    """Return the convolution whose channels an operator reads, through what leaves them as they are."""
    before = network.input_of(operator)
    while before is not None and before.op in PER_CHANNEL and len(before.inputs) == 1:
        before = network.input_of(before)
    return before if before is not None and before.op == "conv2d" else None


def _linear_after(network: Network, operator: Operator) -> str | None:
    """Return the linear layer that reads another one, through activations and dropout only."""
    readers = network.readers.get(operator.index, [])
    while len(readers) == 1:
        leaf = network.leaf(readers[0])
        if readers[0].op in ("linear", "addmm"):
            return leaf[0] if leaf and type(leaf[1]) is nn.Linear else None
        if readers[0].op not in PER_CHANNEL or (leaf and any(True for _ in leaf[1].parameters())):
            return None
        readers = network.readers.get(readers[0].index, [])
    return None


def _instead(path: str, recipe: Recipe) -> tuple[Change, ...]:
    return (Change(path, after=(recipe,), keep=False),)


def _first(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


def _without(path: str) -> str:
    return f"class scores for each unit and their average, in place of {path}"
