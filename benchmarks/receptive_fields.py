"""The receptive field at the last feature map of every network of torchvision, beside gradients.

    python benchmarks/receptive_fields.py                       # all 80, then every layer of a dozen
    python benchmarks/receptive_fields.py --models resnet18     # these only, printed and not written

The field is found twice: by the analysis, and by running the network with positive weights on an image
that is long along one axis and looking where the gradient of one unit in the middle of the last map isn't
zero. Each convolutional network is measured a second time with every window two taps wider than it is
high, which tells the axes apart. Transformers run as they are, with NaN in the outermost rows and columns.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from counters import versions
from networks import NAMES, build, image_shape
from results import table, today, write_section
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from cifar_report.analyzer import analyze
from tests.analyzer.layer_fields import Seen, compare, gates, widened, windows_of

LAST = {
    "alexnet": "features", "convnext": "features", "densenet": "features", "efficientnet": "features",
    "googlenet": "inception5b", "inception": "Mixed_7c", "mnasnet": "layers", "mobilenet": "features",
    "regnet": "trunk_output", "resne": "layer4", "wide_resnet": "layer4", "shufflenet": "conv5",
    "squeezenet": "features", "vgg": "features", "maxvit": "blocks", "swin": "features", "vit": "encoder",
}  # fmt: skip
"""By the beginning of a network's name: the module that returns the map which global pooling takes in."""
TRANSFORMERS = ("maxvit", "swin", "vit")
LONGEST = 16384
"""Of an image that fields are looked for on [px]."""
GATED = 512
"""Of one that squeeze-and-excitation sees whole, however long it is [px]."""
POOLED = 4096
"""Of one with a branch of global pooling, which always sees it whole [px]; its other fields end on it."""
DIVERSE = {
    "resnet18": "residual", "squeezenet1_1": "fire", "shufflenet_v2_x0_5": "channel shuffle",
    "mobilenet_v3_small": "squeeze-and-excitation", "mobilenet_v2": "depthwise", "googlenet": "inception",
    "deeplabv3_resnet50": "dilated head with a pooled branch", "fcn_resnet50": "dilated",
    "lraspp_mobilenet_v3_large": "squeeze-and-excitation, gated head", "convnext_tiny": "ConvNeXt",
    "inception_v3": "inception, spatially separated", "densenet121": "dense",
}  # fmt: skip


def main() -> None:
    """Measure, and write the section of RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--models", help="names, with commas; all networks by default")
    chosen = parser.parse_args().models
    torch.set_num_threads(1)
    last = []
    for name in chosen.split(",") if chosen else NAMES:
        last.append(transformer_row(name) if name.startswith(TRANSFORMERS) else row(name))
        print(*last[-1], sep=" | ", file=sys.stderr, flush=True)
    if chosen:
        return
    every = []
    for name, kind in DIVERSE.items():
        every.append(layers_row(name, kind))
        print(*every[-1], sep=" | ", file=sys.stderr, flush=True)
        write_section("receptive fields", report(last, every))


def report(last: list[list[str]], every: list[list[str]]) -> str:
    """Return the section of RESULTS.md."""
    return "\n\n".join([
        "## Receptive fields against gradients",
        f"{today()}; {versions()}. Height x width [px]. The oracle is where the gradient of one unit in "
        "the middle of the map reaches in float64, with positive weights and sums in place of maxima, on "
        "an image long enough to hold the field. `widened`: the same network with every convolution and "
        "pool of more than one tap two taps wider than high. `whole image`: every unit sees everything, "
        "in the analysis (`global`) and by the oracle; the field in front of the first squeeze-and-"
        "excitation gate is then the one that has a size. Transformers are left as they are: NaN in "
        "the first or last row or column turns every unit of the last map to NaN.",
        f"- Networks: {len(last)}; equal on both axes on {sum(cells[-1] == 'yes' for cells in last)}.",
        table(
            ("Network", "layer", "image", "ours", "oracle", "ours, widened", "oracle, widened", "equal"),
            last,
            2,
        ),
        "### Every convolution and pool",
        "As many fields as there are layers, two axes and two networks, the second one widened.",
        table(("Network", "what it is", "layers", "fields", "clipped at the image", "equal"), every, 2),
    ])  # fmt: skip


def layer_of(name: str) -> str:
    """Return the module that returns a network's last feature map."""
    return next(layer for start, layer in LAST.items() if name.startswith(start))


def thin(name: str) -> int:
    """Return how far images go on along their short axis: two networks don't pad, and need more."""
    return 96 if name in ("alexnet", "inception_v3") else 32


def row(name: str) -> list[str]:
    """Compare a convolutional network's fields at its last map, and before its first gate."""
    layer = layer_of(name)
    cells, equal, image = [], [], ""
    first_gate = next(iter(gates(build(name))), None)
    layers = [layer] if first_gate is None else [first_gate, layer]
    for change in (lambda network: network, widened):
        network: nn.Module = change(build(name))
        seen = compare(network, layers, thin(name), longest=LONGEST if first_gate is None else GATED)
        equal += [one.equal and (first_gate is None or one.layer == first_gate or whole(one)) for one in seen]
        equal += [not one.clipped for one in seen if one.layer == layers[0]]
        measured = [one for one in seen if one.layer == layers[0]]
        before = "" if first_gate is None else "whole image; before the gate "
        cells += [before + "x".join(str(one.field.size[one.axis]) for one in measured if one.field.size),
                  before + "x".join(str(one.reached) for one in measured)]  # fmt: skip
        image = "x".join(str(one.length) for one in measured)
    return [name, layer, image, *cells, "yes" if all(equal) else "NO"]


def whole(seen: Seen) -> bool:
    """Return whether analysis and oracle agree that the whole image is seen."""
    return seen.field.kind == "global" and seen.reached == seen.length


def layers_row(name: str, kind: str) -> list[str]:
    """Compare the fields of every convolution and pool."""
    seen: list[Seen] = []
    names: list[str] = []
    for change in (lambda network: network, widened):
        network: nn.Module = change(build(name))
        names = windows_of(network)
        longest = GATED if gates(network) else POOLED if name.startswith("deeplab") else LONGEST
        seen += compare(network, names, thin(name), longest=longest)
    equal = sum(one.equal for one in seen)
    clipped = sum(one.clipped for one in seen)
    verdict = "all" if equal == len(seen) else str(equal)
    return [name, kind, str(len(names)), str(len(seen)), str(clipped), verdict]


def transformer_row(name: str) -> list[str]:
    """See whether every unit of a transformer's last map turns NaN, wherever in the image NaN stands."""
    shape, layer = image_shape(name), layer_of(name)
    network = build(name)
    turned = all(spoilt(network, layer, shape, axis, row) for axis in (2, 3) for row in (0, -1))
    layer_rows = [r for r in analyze(network, shape).layers if r.name.startswith(layer)]
    kind = layer_rows[-1].receptive_field.kind
    ours, oracle = ("whole image" if seen else "not all" for seen in (kind == "global", turned))
    size = "x".join(map(str, shape[1:]))
    return [name, layer, size, ours, oracle, "", "", "yes" if ours == oracle else "NO"]


def spoilt(network: nn.Module, layer: str, shape: tuple[int, ...], axis: int, row: int) -> bool:
    """Return whether NaN in one row of the image turns all units of a layer's output to NaN."""
    image = torch.zeros(1, *shape)
    image.select(axis, row).fill_(torch.nan)
    outputs: list[torch.Tensor] = []
    module = network
    for part in layer.split("."):
        module = getattr(module, part)
    module = list(module)[-1] if isinstance(module, nn.ModuleList) else module
    hook = module.register_forward_hook(lambda _, __, output: outputs.append(output))
    with torch.inference_mode():
        network(image)
    hook.remove()
    return bool(torch.isnan(outputs[-1]).all())


if __name__ == "__main__":
    main()
