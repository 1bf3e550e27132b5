"""Small networks that hooks, traces and formulas trip over, each for one reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrizations

Oracle = Literal["nan", "gradient"]


@dataclass(frozen=True)
class Case:
    """One network and what it is called with."""

    name: str
    build: Callable[[], nn.Module]
    shape: tuple[int, ...] = (3, 48, 48)
    dtype: torch.dtype = torch.float32
    oracle: Oracle = "nan"
    """How the field's truth is found: gradient where NaN would take another branch."""
    training: bool = False
    """Whether the tools get it in training mode."""


class Forward(nn.Module):
    """A network of named parts and a function that runs them."""

    def __init__(self, run: Callable[[Any, Tensor], Any], **parts: Any) -> None:
        super().__init__()
        self.run = run
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x: Tensor) -> Any:
        """Run the function."""
        return self.run(self, x)


def conv(channels: int, out: int, kernel: Any = 3, **options: Any) -> nn.Conv2d:
    """Return a convolution without bias."""
    return nn.Conv2d(channels, out, kernel, bias=False, **options)


def weight(*shape: int) -> nn.Parameter:
    """Return a raw parameter."""
    return nn.Parameter(torch.randn(*shape))


def _functional() -> nn.Module:
    return Forward(
        lambda m, x: F.conv2d(F.relu(F.conv2d(x, m.a)), m.b), a=weight(8, 3, 3, 3), b=weight(8, 8, 3, 3)
    )


def _reused() -> nn.Module:
    return Forward(lambda m, x: m.body(m.body(m.body(m.stem(x)))), stem=conv(3, 8), body=conv(8, 8))


def _tied() -> nn.Module:
    network = nn.Sequential(conv(8, 8), nn.ReLU(), conv(8, 8))
    network[2].weight = network[0].weight
    return network


def _branches() -> nn.Module:
    return Forward(
        lambda m, x: torch.cat([m.narrow(x), m.wide(x), F.max_pool2d(x, 3, 1, 1)], 1),
        narrow=conv(3, 8, padding=1),
        wide=conv(3, 8, 5, padding=2),
    )


def _residual() -> nn.Module:
    def run(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        return m.skip(y) + m.b(F.relu(m.a(y)))

    return Forward(run, stem=conv(3, 8), skip=conv(8, 8, 1), a=conv(8, 8, padding=1), b=conv(8, 8, padding=1))


def _shuffle() -> nn.Module:
    def run(m: Any, x: Tensor) -> Any:
        y = m.a(m.stem(x))
        n, c, h, w = y.shape
        return m.b(y.view(n, 4, c // 4, h, w).transpose(1, 2).reshape(n, c, h, w))

    return Forward(run, stem=conv(3, 16, 1), a=conv(16, 16, groups=4), b=conv(16, 16, groups=4))


def _pixel_shuffle() -> nn.Module:
    return nn.Sequential(conv(3, 32), nn.PixelShuffle(2), conv(8, 8))


def _roll() -> nn.Module:
    return Forward(lambda m, x: m.b(torch.roll(m.a(x), (3, 3), (2, 3))), a=conv(3, 8), b=conv(8, 8))


def _patches() -> nn.Module:
    def run(m: Any, x: Tensor) -> Any:
        tokens = m.patch(x).flatten(2).transpose(1, 2)
        q, k, v = m.qkv(tokens).chunk(3, -1)
        return m.out(F.scaled_dot_product_attention(q, k, v)).transpose(1, 2).view(1, 16, 6, 6)

    return Forward(
        run,
        patch=conv(3, 16, 8, stride=8),
        qkv=nn.Linear(16, 48, bias=False),
        out=nn.Linear(16, 16, bias=False),
    )


def _multihead() -> nn.Module:
    def run(m: Any, x: Tensor) -> Any:
        tokens = m.patch(x).flatten(2).transpose(1, 2)
        return m.attention(tokens, tokens, tokens, need_weights=False)[0].transpose(1, 2).view(1, 16, 6, 6)

    attention = nn.MultiheadAttention(16, 2, bias=False, batch_first=True)
    return Forward(run, patch=conv(3, 16, 8, stride=8), attention=attention)


def _encoder() -> nn.Module:
    def run(m: Any, x: Tensor) -> Any:
        return m.layer(m.patch(x).flatten(2).transpose(1, 2)).transpose(1, 2).view(1, 16, 6, 6)

    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    return Forward(run, patch=conv(3, 16, 8, stride=8), layer=layer)


def _lstm() -> nn.Module:
    def run(m: Any, x: Tensor) -> Any:
        rows = m.stem(x)[0].permute(1, 2, 0)
        return m.lstm(rows)[0].permute(2, 0, 1)[None]

    return Forward(run, stem=conv(3, 8), lstm=nn.LSTM(8, 8, bidirectional=True, batch_first=True))


def _tokens() -> nn.Module:
    return Forward(
        lambda m, x: m.fc(m.stem(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2),
        stem=conv(3, 8),
        fc=nn.Linear(8, 32, bias=False),
    )


def _unfold() -> nn.Module:
    def run(m: Any, x: Tensor) -> Any:
        columns = F.unfold(m.stem(x), 3)
        return (m.kernel @ columns).view(1, 8, 44, 44)

    return Forward(run, stem=conv(3, 8), kernel=weight(8, 72))


def _einsum() -> nn.Module:
    return Forward(
        lambda m, x: torch.einsum("nchw,oc->nohw", m.stem(x), m.mix), stem=conv(3, 8), mix=weight(16, 8)
    )


def _focus() -> nn.Module:
    def run(m: Any, x: Tensor) -> Any:
        parts = [x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return m.conv(torch.cat(parts, 1))

    return Forward(run, conv=conv(12, 8))


def _unet() -> nn.Module:
    def run(m: Any, x: Tensor) -> Any:
        y = m.down(m.stem(x))
        return m.out(torch.cat([m.stem(x), F.interpolate(y, scale_factor=2, mode="nearest")], 1))

    return Forward(
        run, stem=conv(3, 8, padding=1), down=conv(8, 8, stride=2, padding=1), out=conv(16, 8, padding=1)
    )


def _gate() -> nn.Module:
    def run(m: Any, x: Tensor) -> Any:
        y = m.stem(x)
        return y * torch.sigmoid(m.up(F.relu(m.down(y.mean((2, 3), keepdim=True)))))

    return Forward(run, stem=conv(3, 16), down=conv(16, 4, 1), up=conv(4, 16, 1))


def _branching() -> nn.Module:
    def run(m: Any, x: Tensor) -> Any:
        return m.three(x) if bool(x.mean() > 0) else m.five(x)

    return Forward(run, three=conv(3, 8), five=conv(3, 8, 5))


def _frozen() -> nn.Module:
    network = nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 8))
    network[0].weight.requires_grad_(False)
    return network


def _scaled() -> nn.Module:
    return Forward(lambda m, x: m.conv(x) * m.scale, conv=conv(3, 8), scale=weight(8, 46, 46))


def _volume() -> nn.Module:
    return nn.Sequential(
        nn.Conv3d(3, 4, (1, 3, 3), bias=False), nn.ReLU(), nn.Conv3d(4, 4, (3, 1, 1), bias=False)
    )


def _unused() -> nn.Module:
    return Forward(lambda m, x: m.conv(x), conv=conv(3, 8), spare=conv(8, 32))


def _scripted() -> nn.Module:
    return torch.jit.script(nn.Sequential(conv(3, 8), nn.ReLU(), conv(8, 8)))


def _printing() -> nn.Module:
    def run(m: Any, x: Tensor) -> Any:
        print("shape", tuple(x.shape))
        return m.conv(x)

    return Forward(run, conv=conv(3, 8))


def _normed() -> nn.Module:
    return nn.Sequential(conv(3, 8), nn.AdaptiveAvgPool2d(1), nn.BatchNorm2d(8), conv(8, 10, 1))


def _dictionary() -> nn.Module:
    def run(m: Any, x: Tensor) -> dict[str, Any]:
        y = m.stem(x)
        return {"features": m.a(y), "aux": (m.b(y), None)}

    return Forward(run, stem=conv(3, 8), a=conv(8, 8), b=conv(8, 4, 1))


def _recursive() -> nn.Module:
    def run(m: Any, x: Tensor) -> Any:
        return m.conv(m(x[:, :8])) if x.shape[1] > 8 else m.conv(x)

    return nn.Sequential(conv(3, 16, 1), Forward(run, conv=conv(8, 8)))


CASES = (
    Case("convolutions called as functions", _functional),
    Case("a module called three times", _reused),
    Case("tied weights", _tied, (8, 48, 48)),
    Case("transposed convolution",
         lambda: nn.Sequential(conv(3, 8), nn.ConvTranspose2d(8, 8, 4, 2, bias=False))),
    Case("dilated convolutions", lambda: nn.Sequential(conv(3, 8, dilation=2), conv(8, 8, dilation=3))),
    Case("depthwise and pointwise", lambda: nn.Sequential(conv(3, 8), conv(8, 8, groups=8), conv(8, 16, 1))),
    Case("3x1 and 1x5", lambda: nn.Sequential(conv(3, 8, (3, 1)), conv(8, 8, (1, 5), stride=(1, 2)))),
    Case("adaptive pool that doesn't divide", lambda: nn.Sequential(conv(3, 8), nn.AdaptiveAvgPool2d(7))),
    Case("pool with ceil mode and dilation",
         lambda: nn.Sequential(conv(3, 8), nn.MaxPool2d(3, 2, 1, 2, ceil_mode=True), conv(8, 8))),
    Case("branches and concatenation", _branches),
    Case("residual", _residual),
    Case("channel shuffle", _shuffle),
    Case("pixel shuffle", _pixel_shuffle),
    Case("roll", _roll),
    Case("patches and attention", _patches),
    Case("MultiheadAttention", _multihead),
    Case("TransformerEncoderLayer", _encoder),
    Case("LSTM along the rows", _lstm),
    Case("Linear over tokens", _tokens),
    Case("unfold and matrix product", _unfold),
    Case("einsum", _einsum),
    Case("strided slices", _focus),
    Case("U-Net with interpolation", _unet),
    Case("squeeze and excitation", _gate),
    Case("a branch on a value", _branching, oracle="gradient"),
    Case("weight norm as parametrization",
         lambda: nn.Sequential(parametrizations.weight_norm(conv(3, 8)), conv(8, 8))),
    Case("lazy modules",
         lambda: nn.Sequential(nn.LazyConv2d(8, 3, bias=False), nn.LazyConv2d(8, 3, bias=False))),
    Case("ScriptModule", _scripted),
    Case("frozen parameters", _frozen),
    Case("raw parameters", _scaled),
    Case("a part that is never called", _unused),
    Case("batch norm in training mode, batch of 1", _normed, training=True),
    Case("bfloat16", lambda: nn.Sequential(conv(3, 8), conv(8, 8)).to(torch.bfloat16), dtype=torch.bfloat16),
    Case("prints", _printing),
    Case("a dict with a tuple with None comes out", _dictionary),
    Case("a module that calls itself", _recursive),
    Case("one axis",
         lambda: nn.Sequential(nn.Conv1d(3, 8, 5, 2, bias=False), nn.Conv1d(8, 8, 3, bias=False)), (3, 64)),
    Case("three axes", _volume, (3, 8, 16, 16)),
)  # fmt: skip
