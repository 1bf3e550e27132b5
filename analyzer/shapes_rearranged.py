"""Output shapes of operators that join tensors, or put their elements into other places."""

from __future__ import annotations

from cifar_report.analyzer.shapes import Arguments, Keywords, Shape, argument, rule


@rule("cat")
def cat(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover concatenation of tensors of one dtype and rank."""
    values, dim = args[0], argument(args, kwargs, 1, "dim", 0)
    first = values[0]
    if dim < 0:
        dim += len(first.shape)
    total = 0
    for value in values:
        shape = value.shape
        if len(shape) != len(first.shape) or value.dtype != first.dtype:
            return None
        if shape[:dim] != first.shape[:dim] or shape[dim + 1 :] != first.shape[dim + 1 :]:
            return None
        total += shape[dim]
    return (*first.shape[:dim], total, *first.shape[dim + 1 :])


@rule("constant_pad_nd")
def pad(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover padding with a constant: pairs of widths, the last dimension's first; negative ones crop."""
    shape, widths = list(args[0].shape), args[1]
    if len(widths) % 2 or len(widths) > 2 * len(shape):
        return None
    for pair in range(len(widths) // 2):
        shape[-1 - pair] += widths[2 * pair] + widths[2 * pair + 1]
    return tuple(shape) if min(shape) > 0 else None


@rule("roll")
def roll(args: Arguments, kwargs: Keywords) -> Shape | None:
    """Cover rolls along named dimensions, and of the flattened tensor."""
    shape = args[0].shape
    shifts, dims = args[1], argument(args, kwargs, 2, "dims", [])
    fits = len(shifts) == len(dims) and all(-len(shape) <= dim < len(shape) for dim in dims)
    return shape if fits or (not dims and len(shifts) == 1) else None
