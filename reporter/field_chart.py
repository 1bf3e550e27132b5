"""How the receptive field grows from layer to layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cifar_report.analyzer.analysis import Analysis, Layer, ReceptiveField
from cifar_report.reporter import theme as themes
from cifar_report.reporter.theme import Theme
from cifar_report.reporter.wording import TIMES, field_pixels, field_sentence, plural

DOTTED = 80
"""Up to this many layers every layer gets a dot."""


def draw(analysis: Analysis, layers: Sequence[Layer], theme: Theme) -> Figure:
    """Draw the field's size over the layers' numbers, on bands of equal map size."""
    made = themes.figure(4.1, theme)
    axes = themes.chart(made, (0.65, 0.55, 7.25, 2.75), theme)
    image = min(analysis.input_shape[1:])
    _steps(axes, layers, theme)
    _whole_image(axes, layers, image, theme)
    _bands(axes, layers, theme)
    axes.axhline(image, color=theme.muted, linewidth=1, linestyle=":")
    themes.aside(axes, f"image {image:,} px", (len(layers) + 0.5, image), (7, 0), theme.muted, va="center")
    sizes = [size for row in _local(layers)[1] for size in row]
    axes.set_xlim(0.5, len(layers) + 0.5)
    axes.set_ylim(0, max([*sizes, image]) * 1.12)
    axes.xaxis.set_major_locator(MaxNLocator(12, integer=True, min_n_ticks=1))
    axes.grid(axis="y", color=theme.line, linewidth=0.6)
    axes.set_xlabel("Layer, by its number in the table", color=theme.muted, fontsize=9)
    fields = analysis.totals.receptive_field
    before, output = _in_pixels(fields.before_gap), _in_pixels(fields.output)
    note = f"before global pooling {before}, at the output {output}"
    themes.heading(axes, "Receptive field of one unit [px]", note, theme, above=15)
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


def _steps(axes: Axes, layers: Sequence[Layer], theme: Theme) -> None:
    """Draw one line, or one for height and one for width where they differ."""
    numbers, sizes = _local(layers)
    names = ("height", "width") if any(len(set(row)) > 1 for row in sizes) else ("",)
    styles = zip(names, (theme.first, theme.second), ("-", "--"), strict=False)
    for axis, (name, color, style) in enumerate(styles):
        values = [row[min(axis, len(row) - 1)] for row in sizes]
        axes.plot(numbers, values, style, drawstyle="steps-mid", color=color, linewidth=1.8)
        if len(numbers) <= DOTTED:
            axes.plot(numbers, values, ".", color=color, markersize=5)
        end = f"{values[-1]:,} px {name}".strip()
        # Where global fields follow, their line begins here: the figure stands below it.
        down = -12 if numbers[-1] < len(layers) else 0
        themes.aside(axes, end, (numbers[-1], values[-1]), (7, down), color, va="center", fontsize=9.5)


def _whole_image(axes: Axes, layers: Sequence[Layer], image: int, theme: Theme) -> None:
    """Mark layers with a global field at the height of the image."""
    numbers = [n for n, layer in enumerate(layers, start=1) if layer.receptive_field.kind == "global"]
    if numbers:
        axes.plot(numbers, [image] * len(numbers), "s", color=theme.second, markersize=3)
        words = "global: sees the whole image"
        themes.aside(axes, words, (numbers[-1], image), (0, 5), theme.second, ha="right")


def _in_pixels(field: ReceptiveField) -> str:
    if field.kind == "global":
        return "the whole image"
    return field_pixels(field)


def _local(layers: Sequence[Layer]) -> tuple[list[int], list[tuple[int, ...]]]:
    """Return numbers and sizes of the layers whose field is local."""
    rows = [
        (number, layer.receptive_field.size)
        for number, layer in enumerate(layers, start=1)
        if layer.receptive_field.kind == "local" and layer.receptive_field.size
    ]
    return [number for number, _ in rows], [size for _, size in rows if size]


def _map_size(layer: Layer) -> tuple[int, ...]:
    """Return height and width of the layer's maps; vectors and tokens are no maps."""
    return layer.output_shape[2:] if layer.output_shape and len(layer.output_shape) > 3 else ()


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
            middle = ((start + end) / 2, 1.0)
            across = axes.get_xaxis_transform()
            themes.aside(axes, _map_text(size), middle, (0, 4), theme.muted, xycoords=across, ha="center")
        start = end
