"""Ten kinds of networks in a few layers each, with kernels that are not square."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import SqueezeExcitation


def conv(
    inputs: int, outputs: int, kernel: tuple[int, int], stride: int | tuple[int, int] = 1,
    dilation: int = 1, groups: int = 1,
) -> nn.Sequential:  # fmt: skip
    """Return a convolution that keeps the map's size but for its stride, normalised and activated."""
    padding = (dilation * (kernel[0] - 1) // 2, dilation * (kernel[1] - 1) // 2)
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, groups, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU())


class Residual(nn.Module):
    """A block with a strided shortcut, and one without."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 4, (5, 3), (1, 2))
        self.pool = nn.MaxPool2d((2, 3), 2, (0, 1))
        self.first = nn.Sequential(conv(4, 8, (3, 5), 2), nn.Conv2d(8, 8, (1, 3), padding=(0, 1)))
        self.shortcut = nn.Conv2d(4, 8, 1, 2)
        self.second = nn.Sequential(conv(8, 8, (3, 1)), nn.Conv2d(8, 8, (3, 1), padding=(1, 0)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stem(x))
        x = F.relu(self.first(x) + self.shortcut(x))
        return F.relu(self.second(x) + x)


class Dense(nn.Module):
    """Every layer sees all maps before it; an average pool halves them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([conv(3 + 4 * n, 4, (3, 5) if n % 2 else (5, 1)) for n in range(3)])
        self.transition = nn.Sequential(nn.Conv2d(15, 6, 1), nn.AvgPool2d((2, 4), 2, (0, 1)))
        self.last = conv(6, 4, (3, 1))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return self.last(self.transition(x))


class Inception(nn.Module):
    """Branches of different kernels, some spatially separated, and a pooled one."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 4, (3, 3), 2)
        self.branches = nn.ModuleList([
            nn.Conv2d(4, 2, 1),
            nn.Sequential(nn.Conv2d(4, 4, (1, 7), padding=(0, 3)), nn.Conv2d(4, 4, (5, 1), padding=(2, 0))),
            nn.Sequential(nn.AvgPool2d((3, 5), 1, (1, 2)), nn.Conv2d(4, 2, 1)),
        ])  # fmt: skip
        self.reduction = nn.ModuleList([nn.MaxPool2d((3, 2), 2), nn.Conv2d(8, 4, (3, 2), 2)])
        self.last = nn.Conv2d(12, 4, (3, 5), padding=(1, 2))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = torch.cat([branch(x) for branch in self.branches], 1)
        return self.last(torch.cat([branch(x) for branch in self.reduction], 1))


class Depthwise(nn.Sequential):
    """Inverted residuals without the residual: expand, filter each channel, project."""

    def __init__(self) -> None:
        super().__init__(
            conv(3, 6, (3, 5), 2),
            conv(6, 6, (5, 3), groups=6), nn.Conv2d(6, 8, 1),
            conv(8, 8, (3, 3), (2, 1), 2, groups=8), nn.Conv2d(8, 4, 1),
        )  # fmt: skip


class Shuffle(nn.Module):
    """Half of the channels pass, then all are shuffled; a second unit undoes none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = conv(3, 8, (1, 3), 2)
        self.branches = nn.ModuleList([
            nn.Sequential(conv(4, 4, (1, 1)), conv(4, 4, kernel, groups=4)) for kernel in ((3, 5), (5, 1))
        ])  # fmt: skip
        self.last = nn.Conv2d(8, 4, (1, 3), groups=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for branch in self.branches:
            kept, changed = x.chunk(2, 1)
            x = F.channel_shuffle(torch.cat([kept, branch(changed)], 1), 2)
        return self.last(x)


class Fire(nn.Module):
    """Squeeze to few channels, expand by two kernels side by side; pools round up."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, (3, 5), 2)
        self.pools = nn.ModuleList([nn.MaxPool2d((3, 2), 2, ceil_mode=True) for _ in range(2)])
        self.squeeze = nn.ModuleList([nn.Conv2d(6, 2, 1), nn.Conv2d(6, 2, 1)])
        self.one = nn.ModuleList([nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 1)])
        self.three = nn.ModuleList([nn.Conv2d(2, 3, (3, 5), padding=(1, 2)) for _ in range(2)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for pool, squeeze, one, three in zip(self.pools, self.squeeze, self.one, self.three, strict=True):
            x = F.relu(squeeze(pool(x)))
            x = F.relu(torch.cat([one(x), three(x)], 1))
        return x


class Gated(nn.Module):
    """Squeeze-and-excitation between convolutions: local before it, global behind."""

    def __init__(self) -> None:
        super().__init__()
        self.before = nn.Sequential(conv(3, 4, (3, 1), (2, 1)), conv(4, 4, (3, 5), groups=4))
        self.gate = SqueezeExcitation(4, 2)
        self.behind = conv(4, 4, (1, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.behind(self.gate(self.before(x)))


class ConvNeXtBlock(nn.Module):
    """A large depthwise kernel, then linear layers over channels that stand last, scaled, added."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(4, 4, (7, 5), padding=(3, 2), groups=4)
        self.norm = nn.LayerNorm(4)
        self.wide = nn.Linear(4, 8)
        self.narrow = nn.Linear(8, 4)
        self.scale = nn.Parameter(torch.ones(4, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.scale * self.narrow(F.gelu(self.wide(y))).permute(0, 3, 1, 2)


class ConvNeXt(nn.Sequential):
    """Patches, a block, a downsampling, another block."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 4, (2, 3), (2, 3)), ConvNeXtBlock(), nn.Conv2d(4, 4, (2, 1), (2, 1)), ConvNeXtBlock()
        )


class Atrous(nn.Module):
    """Dilated convolutions side by side, with a globally pooled branch on request (DeepLab's ASPP)."""

    def __init__(self, pooled: bool) -> None:
        super().__init__()
        self.stem = conv(3, 4, (3, 5), 2)
        self.branches = nn.ModuleList([conv(4, 2, (3, 3), dilation=d) for d in (1, 2, 3)])
        self.branches.append(conv(4, 2, (1, 1)))
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1)) if pooled else None
        self.project = nn.Conv2d(10 if pooled else 8, 4, (1, 3), padding=(0, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        maps = [branch(x) for branch in self.branches]
        if self.pooled is not None:
            maps.append(F.interpolate(self.pooled(x), size=x.shape[2:], mode="bilinear"))
        return self.project(torch.cat(maps, 1))


class UNet(nn.Module):
    """Down twice, up twice by transposed convolutions, of which one overlaps; skips are concatenated."""

    def __init__(self) -> None:
        super().__init__()
        self.first = conv(3, 4, (3, 5))
        self.down = nn.ModuleList([nn.MaxPool2d(2), nn.MaxPool2d((2, 1))])
        self.second = conv(4, 4, (3, 1))
        self.third = conv(4, 4, (1, 3))
        self.up = nn.ModuleList([
            nn.ConvTranspose2d(4, 4, (4, 3), (2, 1), (1, 1)), nn.ConvTranspose2d(4, 4, 2, 2),
        ])  # fmt: skip
        self.joined = nn.ModuleList([conv(8, 4, (3, 3)), conv(8, 4, (1, 3))])

    def forward(self, x: Tensor) -> Tensor:
        first = self.first(x)
        second = self.second(self.down[0](first))
        x = self.up[0](self.third(self.down[1](second)))
        x = self.up[1](self.joined[0](torch.cat([second, x], 1)))
        return self.joined[1](torch.cat([first, x], 1))


NETWORKS: dict[str, nn.Module] = {
    "residual": Residual(),
    "dense": Dense(),
    "inception": Inception(),
    "depthwise": Depthwise(),
    "shuffle": Shuffle(),
    "fire": Fire(),
    "squeeze-and-excitation": Gated(),
    "ConvNeXt": ConvNeXt(),
    "dilated head": Atrous(pooled=False),
    "dilated head with a pooled branch": Atrous(pooled=True),
    "U-Net": UNet(),
}
