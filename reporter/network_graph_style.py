"""The colours of a network's graph for light and dark, and its picture's style sheet."""

from __future__ import annotations

from typing import Literal

from cifar_report.reporter.network_graph_words import KINDS

Scheme = Literal["auto", "light", "dark"]

# name: paper, ink, muted, line, then a fill and an edge for every kind.
COLOURS: dict[str, dict[str, str]] = {
    "light": {
        "paper": "#ffffff", "ink": "#1f2328", "muted": "#59636e", "wire": "#6e7781",
        "input-fill": "#f0f2f5", "input-edge": "#59636e",
        "convolution-fill": "#e6f1fa", "convolution-edge": "#0072b2",
        "linear-fill": "#e3f4ee", "linear-edge": "#00795a",
        "pooling-fill": "#fdf0de", "pooling-edge": "#b06000",
        "attention-fill": "#fbe7ee", "attention-edge": "#b0306a",
        "join-fill": "#f1eafa", "join-edge": "#7a4fb5",
        "block-fill": "#eef0ff", "block-edge": "#4450a8",
        "other-fill": "#f4f5f6", "other-edge": "#8c959f",
    },
    "dark": {
        "paper": "#0d1117", "ink": "#e6edf3", "muted": "#9da7b1", "wire": "#7d8590",
        "input-fill": "#1b2028", "input-edge": "#9198a1",
        "convolution-fill": "#10263a", "convolution-edge": "#56b4e9",
        "linear-fill": "#0f2a24", "linear-edge": "#2fc79a",
        "pooling-fill": "#2e2110", "pooling-edge": "#f0a742",
        "attention-fill": "#331826", "attention-edge": "#f07aa8",
        "join-fill": "#251d37", "join-edge": "#b794f0",
        "block-fill": "#1b1f3d", "block-edge": "#94a0f5",
        "other-fill": "#1a1f26", "other-edge": "#6e7681",
    },
}  # fmt: skip


def style_sheet(scheme: Scheme) -> str:
    """Return the style sheet; colours are variables of this picture, not of a page that it stands in."""
    sans = 'system-ui,-apple-system,"Segoe UI",Helvetica,Arial,"DejaVu Sans",sans-serif'
    mono = 'ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace'
    rules = [
        f".network{{{_variables('dark' if scheme == 'dark' else 'light')}}}",
        f"@media (prefers-color-scheme:dark){{.network{{{_variables('dark')}}}}}" if scheme == "auto" else "",
        ".paper{fill:var(--paper)}",
        f".network text{{font-family:{sans};font-size:11px;fill:var(--ink)}}",
        ".network .name{font-size:16px;font-weight:700}",
        ".network .fact{font-size:12px;fill:var(--muted)}",
        ".network .type{font-size:12px;font-weight:700}",
        ".network .field{font-weight:700;text-anchor:end}",
        ".network .more,.network .legend{fill:var(--muted)}",
        f".network .path{{font-family:{mono};font-size:10.5px;fill:var(--muted)}}",
        ".network .params{text-anchor:end}",
        ".wire{fill:none;stroke:var(--wire);stroke-width:1.4}",
        ".tip{fill:var(--wire)}",
        *(
            f".{kind} .box{{fill:var(--{kind}-fill);stroke:var(--{kind}-edge)}}"
            f".{kind} .bar{{fill:var(--{kind}-edge)}}"
            for kind in KINDS
        ),
    ]
    return "\n".join(rule for rule in rules if rule)


def _variables(scheme: Literal["light", "dark"]) -> str:
    return ";".join(f"--{name}:{colour}" for name, colour in COLOURS[scheme].items())
