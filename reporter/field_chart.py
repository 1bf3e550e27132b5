"""How the receptive field grows from layer to layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cifar_report.analyzer.analysis import Analysis, Layer, ReceptiveField
from cifar_report.reporter import theme as themes
from cifar_report.reporter.theme import Theme
from cifar_report.reporter.wording import TIMES, field_sentence, field_size, plural


def draw(analysis: Analysis, layers: Sequence[Layer], theme: Theme) -> Figure:
    """Draw the field's size over the layers' numbers, on bands of equal map size."""
    made = themes.figure(4.1, theme)
    axes = themes.chart(made, (0.65, 0.55, 7.25, 2.75), theme)
    numbers, sizes = _local(layers)
    top = max([*(size for row in sizes for size in row), *analysis.input_shape[1:]]) * 1.12
    names = ("height", "width") if any(len(set(row)) > 1 for row in sizes) else ("",)
    for axis, (name, color, style) in enumerate(
        zip(names, (theme.first, theme.second), ("-", "--"), strict=False)
    ):
        values = [row[min(axis, len(row) - 1)] for row in sizes]
        axes.plot(numbers, values, style, drawstyle="steps-mid", color=color, linewidth=1.8, label=name)
        if len(numbers) <= 80:
            axes.plot(numbers, values, ".", color=color, markersize=5)
        end = f"{values[-1]:,} px {name}".strip()
        axes.annotate(
            end,
            (numbers[-1], values[-1]),
            (7, 0),
            textcoords="offset points",
            va="center",
            color=color,
            fontsize=9.5,
        )
    _bands(axes, layers, theme)
    image = min(analysis.input_shape[1:])
    axes.axhline(image, color=theme.muted, linewidth=1, linestyle=":")
    axes.annotate(
        f"image {image} px",
        (len(layers) + 0.5, image),
        (7, 0),
        textcoords="offset points",
        va="center",
        color=theme.muted,
        fontsize=8.5,
        annotation_clip=False,
    )
    axes.set_xlim(0.5, len(layers) + 0.5)
    axes.set_ylim(0, top)
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=theme.line, linewidth=0.6)
    axes.set_xlabel("Layer, by its number in the table", color=theme.muted, fontsize=9)
    axes.set_title(
        "Receptive field of one unit [px]",
        loc="left",
        color=theme.ink,
        fontsize=10.5,
        fontweight="bold",
        pad=36,
    )
    fields = analysis.totals.receptive_field
    axes.annotate(
        f"before global pooling {_in_pixels(fields.before_gap)}, at the output {_in_pixels(fields.output)}",
        (0, 1),
        (0, 22),
        xycoords="axes fraction",
        textcoords="offset points",
        color=theme.muted,
        fontsize=9,
    )
    return made


def has_fields(layers: Sequence[Layer]) -> bool:
    """Tell whether any layer has a local receptive field, without which there is nothing to draw."""
    return bool(_local(layers)[0])


def describe(analysis: Analysis, layers: Sequence[Layer]) -> str:
    """Say in words how the field grows, map size by map size."""
    stages = [
        f"{_map_text(size)} maps up to {max(last):,} px"
        for size, last in ((size, _last_size(group)) for size, group in _stages(layers))
        if last
    ]
    fields = analysis.totals.receptive_field
    return (
        f"Growth of the receptive field over {plural(len(layers), 'layer')}: {', then '.join(stages)}."
        f" Before global pooling it is {field_sentence(fields.before_gap)}; at the output"
        f" {field_sentence(fields.output)}. The image has {analysis.input_shape[-1]:,} px."
    )


def _in_pixels(field: ReceptiveField) -> str:
    return f"{field_size(field)} px" if field.kind == "local" else field.kind


def _local(layers: Sequence[Layer]) -> tuple[list[int], list[tuple[int, ...]]]:
    """Return numbers and sizes of the layers whose field is local."""
    rows = [
        (number, layer.receptive_field.size)
        for number, layer in enumerate(layers, start=1)
        if layer.receptive_field.kind == "local" and layer.receptive_field.size
    ]
    return [number for number, _ in rows], [size for _, size in rows if size]


def _map_size(layer: Layer) -> tuple[int, ...]:
    return layer.output_shape[2:] if layer.output_shape else ()


def _map_text(size: tuple[int, ...]) -> str:
    return TIMES.join(str(value) for value in size)


def _stages(layers: Sequence[Layer]) -> Iterator[tuple[tuple[int, ...], list[Layer]]]:
    """Group neighbouring layers with maps of the same size; layers without a map stay with the last one."""
    group: list[Layer] = []
    current: tuple[int, ...] = ()
    for layer in layers:
        size = _map_size(layer)
        if size and size != current and group:
            yield current, group
            group = []
        current = size or current
        group.append(layer)
    if group:
        yield current, group


def _last_size(group: Sequence[Layer]) -> tuple[int, ...]:
    sizes = _local(group)[1]
    return sizes[-1] if sizes else ()


def _bands(axes: Axes, layers: Sequence[Layer], theme: Theme) -> None:
    start = 0.5
    for index, (size, group) in enumerate(_stages(layers)):
        end = start + len(group)
        if index % 2 == 0:
            axes.axvspan(start, end, color=theme.band, linewidth=0, zorder=0)
        if len(group) >= len(layers) / 22 and size:
            axes.annotate(
                _map_text(size),
                ((start + end) / 2, 1),
                (0, 4),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                color=theme.muted,
                fontsize=8.5,
            )
        start = end
