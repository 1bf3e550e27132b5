"""All rules of the receptive field: importing this module registers them."""

from __future__ import annotations

from cifar_report.analyzer import (  # noqa: F401 - each registers its rules
    field_detection,
    field_elementwise,
    field_index,
    field_interpolation,
    field_mixing,
    field_moves,
    field_norms,
    field_patches,
    field_pools,
    field_products,
    field_recurrent,
    field_scatter,
    field_views,
    field_windows,
    field_writes,
)
