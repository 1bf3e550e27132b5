"""Output shapes of interpolation and of sampling at a grid's points: their meta kernels take milliseconds."""

from __future__ import annotations

from cifar_report.analyzer.shapes import Arguments, Keywords, Shape, rule


@rule("grid_sampler")
def grid_sample(args: Arguments, kwargs: Keywords) -> Shape | None:
    """(N, C, ...) at a grid (N, ..., axes) is (N, C, ...) with the grid's sizes."""
    value, grid = args[:2]
    axes = len(value.shape) - 2
    fits = axes in (2, 3) and len(grid.shape) == axes + 2 and grid.shape[-1] == axes
    if not fits or value.shape[0] != grid.shape[0] or value.dtype != grid.dtype or not value.numel:
        return None
    # Bicubic is for two axes.
    return None if args[2] == 2 and axes == 3 else (*value.shape[:2], *grid.shape[1:-1])


@rule("upsample_nearest1d", "upsample_nearest2d", "upsample_nearest3d", "_upsample_nearest_exact1d",
      "_upsample_nearest_exact2d", "_upsample_nearest_exact3d", "upsample_linear1d", "upsample_bilinear2d",
      "upsample_trilinear3d", "upsample_bicubic2d")  # fmt: skip
def interpolate(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover a given size, and factors that are whole numbers: torch rounds others in its own way."""
    value, sizes = args[:2]
    shape = value.shape
    if not value.dtype.is_floating_point or not value.numel or kwargs:
        return None
    if sizes is None:
        factors = args[-1]
        if not isinstance(factors, list | tuple) or any(factor != int(factor) for factor in factors):
            return None
        if len(factors) != len(shape) - 2:
            return None
        sizes = [size * int(factor) for size, factor in zip(shape[2:], factors, strict=True)]
    if len(sizes) != len(shape) - 2 or min(sizes) < 1:
        return None
    return (*shape[:2], *sizes)
